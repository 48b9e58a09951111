"""The content of a dump, read out of the dump by pg_restore. So it is of the same moment as the dump."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.operate.backup.manifest import Position

__all__ = ["Content", "content"]

_COPY: Final = re.compile(rb"COPY (\S+) \((.*)\) FROM stdin;")
_END: Final = rb"\."
_KEPT: Final = ("public.consumed", "public.said", "public.migration")
_ESCAPES: Final[Mapping[str, str]] = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


@dataclass
class Content:
    """Row counts of all tables, and the rows of those tables that a manifest tells of."""

    rows: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def migrations(self) -> list[str]:
        """Names of the migrations that were applied, in order."""
        return sorted(row["name"] for row in self.kept.get("public.migration", []))

    @property
    def service(self) -> bool:
        """Whether the database is that of a service on the chassis."""
        return "public.consumed" in self.rows and any(name.startswith("chassis/") for name in self.migrations)

    def positions(self, table: str) -> list[Position]:
        """The rows of ``consumed`` or ``said``, in order."""
        rows = self.kept.get(f"public.{table}", [])
        found = [
            Position(
                group=row.get("grp"),
                topic=row["topic"],
                partition=int(row["partition"]),
                next_offset=int(row["next_offset"]),
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: (one.topic, one.partition, one.group or ""))


async def content(lines: AsyncIterator[Sequence[bytes]]) -> Content:
    """Read the output of ``pg_restore --data-only --file=-``."""
    found = Content()
    table: str | None = None
    columns: list[str] = []
    async for some in lines:
        for line in some:
            if table is not None:
                if line == _END:
                    table = None
                    continue
                found.rows[table] += 1
                if table in _KEPT:
                    found.kept[table].append(dict(zip(columns, map(_text, line.decode().split("\t")), strict=True)))
            elif (begin := _COPY.fullmatch(line)) is not None:
                table = begin[1].decode()
                columns = [name.strip('"') for name in begin[2].decode().split(", ")]
                found.rows[table] = 0
                found.kept.setdefault(table, [])
    return found


def _text(value: str) -> str:
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), value)
