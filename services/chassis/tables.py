"""State tables by declaration: a ``@frozen`` object is a row, and loading and saving are one statement each.

Statements do not depend on how many rows a batch has: keys and columns travel as arrays (``unnest``), rows that are
known to be new by ``COPY``.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from services.chassis.database import Connection, add_rows
from services.chassis.decisions import States

__all__ = ["Table"]

R = TypeVar("R")

_SQL_TYPES: dict[type, str] = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    UUID: "uuid",
    datetime: "timestamptz",
    date: "date",
    bytes: "bytea",
}


@dataclasses.dataclass(frozen=True)
class _Column:
    name: str
    sql_type: str
    read: Callable[[Any], Any] | None
    write: Callable[[Any], Any] | None


def _column(name: str, annotation: Any) -> _Column:
    inner = annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        inner = parts[0] if len(parts) == 1 else annotation
    if typing.get_origin(inner) is typing.Literal:
        inner = str
    if inner in _SQL_TYPES:
        return _Column(name, _SQL_TYPES[inner], None, None)
    if isinstance(inner, type) and issubclass(inner, Enum):
        return _Column(name, "text", inner, lambda value: value.value)
    adapter: TypeAdapter[Any] = TypeAdapter(inner)
    return _Column(name, "jsonb", adapter.validate_json, lambda value: adapter.dump_json(value).decode())


class Table(Generic[R]):
    """A state table: the row type's fields are its columns, in this order.

    ``key`` names the primary key's fields; ``groups`` the fields by which rules ask for several rows. Supported
    field types: str, int, bool, UUID, datetime, date, bytes, enums of str, Optional of these; anything else
    pydantic can write stands as jsonb. ``append_only`` rows are inserted and never loaded or replaced. ``loads_all``:
    the store loads every row that may be changed, so what was not loaded is new, and is inserted without asking
    whether it is there (a third of the price); if it is after all, the batch fails as by any constraint.
    """

    def __init__(
        self,
        row: type[R],
        name: str,
        *,
        key: Sequence[str],
        groups: Sequence[str] = (),
        append_only: bool = False,
        loads_all: bool = False,
    ) -> None:
        self.row = row
        self.name = name
        self.key = tuple(key)
        self.groups = tuple(groups)
        self.append_only = append_only
        self.loads_all = loads_all
        hints = typing.get_type_hints(row)
        self.columns = [_column(f.name, hints[f.name]) for f in dataclasses.fields(typing.cast(Any, row))]
        self._names = [column.name for column in self.columns]
        self._values = attrgetter(*self._names)
        self._plain = all(column.read is None for column in self.columns)

    def declare(self, states: States) -> None:
        """Make the row type known to a batch's states."""
        key: Callable[[Any], Hashable] = attrgetter(*self.key)
        states.declare(self.row, key, {name: attrgetter(name) for name in self.groups})

    async def fetch(self, db: Connection, condition: str, *arguments: Any) -> list[R]:
        """Rows where ``condition`` (SQL of the store, with $1…) holds. One statement."""
        rows = await db.fetch(f"{self._select} {condition}", *arguments)
        return [self._read(row) for row in rows]

    async def fetch_keys(self, db: Connection, keys: Iterable[Any]) -> list[R]:
        """Rows with these values of a one-column key. One statement."""
        return await self.fetch(db, f"WHERE {self.key[0]} = ANY($1)", list(keys))

    async def save_changes(self, db: Connection, states: States) -> None:
        """Save what was changed of these rows: one statement, or two where some are new and ``loads_all`` holds."""
        if not self.loads_all:
            await self.save(db, states.changed(self.row))
            return
        loaded, new = states.changes(self.row)
        await self.save(db, loaded)
        await self._add(db, new)

    async def save(self, db: Connection, rows: Sequence[R]) -> None:
        """Insert or replace these rows. One statement; none when there is nothing."""
        if self.append_only:
            await self._add(db, rows)
        elif rows:
            await db.execute(self._upsert, *self._arrays(rows))

    async def _add(self, db: Connection, rows: Sequence[R]) -> None:
        if rows:
            await add_rows(db, self.name, self._names, list(zip(*self._arrays(rows), strict=True)))

    def _read(self, row: Any) -> R:
        if self._plain:
            return self.row(*row)
        values = [
            value if column.read is None or value is None else column.read(value)
            for column, value in zip(self.columns, row, strict=True)
        ]
        return self.row(*values)

    def _arrays(self, rows: Sequence[R]) -> list[list[Any]]:
        arrays: list[list[Any]] = [list(column) for column in zip(*map(self._values, rows), strict=True)]
        for index, column in enumerate(self.columns):
            if (write := column.write) is not None:
                arrays[index] = [None if value is None else write(value) for value in arrays[index]]
        return arrays

    @cached_property
    def _select(self) -> str:
        # The alias is the table's own name, so that a store's condition may join and still name columns.
        return f"SELECT {', '.join(f'{self.name}.{name}' for name in self._names)} FROM {self.name}"  # noqa: S608

    @cached_property
    def _upsert(self) -> str:
        names = ", ".join(self._names)
        arrays = ", ".join(
            f"${i}::{'text' if c.sql_type == 'jsonb' else c.sql_type}[]" for i, c in enumerate(self.columns, 1)
        )
        picked = ", ".join(f"{c.name}::jsonb" if c.sql_type == "jsonb" else c.name for c in self.columns)
        rest = [name for name in self._names if name not in self.key]
        update = ", ".join(f"{name} = excluded.{name}" for name in rest)
        action = f"DO UPDATE SET {update}" if rest else "DO NOTHING"
        return (
            f"INSERT INTO {self.name} ({names}) SELECT {picked} FROM unnest({arrays}) AS t({names}) "  # noqa: S608
            f"ON CONFLICT ({', '.join(self.key)}) {action}"
        )
