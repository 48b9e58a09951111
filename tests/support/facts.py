"""The facts of a linkage: what its databases hold of people, posts and minutes, but for moments of deciding."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import deploy.tryout.sandbox
import services

__all__ = ["MOMENTS", "Databases", "Facts", "differences", "facts_of", "taken"]

Facts: TypeAlias = Mapping[str, Counter[str]]
"""Rows by ``database.table``, each as JSON."""

MOMENTS: Final[Mapping[str, frozenset[str]]] = {
    "bridge.link": frozenset({"since"}),
    "bridge.transfer": frozenset({"changed_at"}),
    "bridge.step": frozenset({"number", "at"}),
    "bridge.refusal": frozenset({"at"}),
    "opportunities.signup_outcome": frozenset({"number", "decided_at"}),
    "adapter.credit": frozenset({"seq", "due_at", "attempted_at", "body.attempt"}),
    "adapter.notice": frozenset({"seq", "due_at"}),
    "adapter.not_understood": frozenset({"heard_at"}),
}
"""By table the columns that are moments of deciding, or numbers in the order of deciding: they may come out otherwise
when a restored service decides again. So may the number of the asking that a credit keeps: a credit that is called for
already keeps the first. Every other column of every table of a service's own is a fact."""

_OF_A_SANDBOX: Final = ("inbox", "position", "outbox")
"""What a registry keeps for its own transport: it grows with each message that comes to it again."""
_CREATED: Final = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_ASIDE: Final = "SELECT 'set_aside' AS name, reason || ' ' || coalesce(subject, '') AS row FROM set_aside"
_TIMERS: Final = "SELECT 'timer' AS name, name AS row FROM timer"


class Databases(Protocol):
    """Anything that can ask the databases of a linkage."""

    async def fetch(self, database: str, sql: str) -> Sequence[Any]:
        """The rows of a statement."""


async def taken(books: Databases, databases: Iterable[str]) -> dict[str, Counter[str]]:
    """The facts of these databases now."""
    found: dict[str, Counter[str]] = {}
    for database in databases:
        found |= await facts_of(books, database)
    return found


async def facts_of(books: Databases, database: str) -> dict[str, Counter[str]]:
    """The facts of one database, of all its tables in one statement."""
    tables = _tables(database)
    parts = [_rows(database, table) for table in tables]
    if not database.startswith("sandbox_"):
        parts += [_ASIDE, _TIMERS]
        tables += ["set_aside", "timer"]
    found: dict[str, Counter[str]] = {f"{database}.{table}": Counter() for table in tables}
    for name, row in await books.fetch(database, " UNION ALL ".join(parts)):
        found[f"{database}.{name}"][row] += 1
    return found


def differences(before: Facts, after: Facts, *, most: int = 4) -> list[str]:
    """In words what is in one of them and not in the other; of rows that are nearly alike what differs."""
    told = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name, Counter()), after.get(name, Counter())
        lost, new = sorted((one - other).elements()), sorted((other - one).elements())
        for word, rows, others in (("lost", lost, new), ("new", new, lost)):
            told += [f"{name}: {word} {_beside(row, others)}" for row in rows[:most]]
            if len(rows) > most:
                told.append(f"{name}: {word} {len(rows) - most} more")
    return told


def _beside(row: str, others: Sequence[str]) -> str:
    """The differences between a row and the most similar of the other rows."""
    if not row.startswith("{"):
        return row
    columns = json.loads(row)
    likest: dict[str, Any] = max((json.loads(other) for other in others), key=lambda o: _alike(columns, o), default={})
    return json.dumps(
        {name: value for name, value in columns.items() if name not in likest or likest[name] != value}
        | ({"beside": _name(columns)} if likest else {}),
        ensure_ascii=False,
    )


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(name in other and other[name] == value for name, value in one.items())


def _name(columns: Mapping[str, Any]) -> str:
    """The columns by which a row is found again."""
    wanted = [value for name, value in columns.items() if name.endswith(("id", "ref", "person")) and value]
    return " ".join(map(str, wanted))


def _rows(database: str, table: str) -> str:
    moments = MOMENTS.get(f"{_kind(database)}.{table}", frozenset())
    listed = ", ".join(f"'{column}'" for column in sorted(moments))
    inner = "".join(f" #- '{{{name.replace('.', ',')}}}'" for name in sorted(moments) if "." in name)
    return f"SELECT '{table}' AS name, (to_jsonb(t) - ARRAY[{listed}]::text[]{inner})::text AS row FROM {table} AS t"


def _kind(database: str) -> str:
    return database.partition("_")[0]


def _tables(database: str) -> list[str]:
    """The tables that its own migrations make; the chassis's are transport."""
    if (kind := _kind(database)) == "sandbox":
        # Of which kind the sandbox is makes no difference: tables that are its transport alone are left out.
        folders = [Path(deploy.tryout.sandbox.__file__ or "").parent / "migrations"]
    else:
        folders = [Path(services.__path__[0]) / ("adapters" if kind == "adapter" else kind) / "migrations"]
    texts = [file.read_text("utf-8") for folder in folders for file in sorted(folder.glob("*.sql"))]
    return [name for text in texts for name in _CREATED.findall(text) if name not in _OF_A_SANDBOX]
