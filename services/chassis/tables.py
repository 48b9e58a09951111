"""State tables by declaration: a ``@frozen`` object is a row, and loading and saving are one statement each.

Statements do not depend on how many rows a batch has: keys and columns travel as arrays (``unnest``), rows that are
known to be new by ``COPY``. A row that was loaded is saved only where it still has the row version that was loaded;
otherwise the batch was overtaken. The row version is PostgreSQL's own (``xmin``): it needs no column and costs nothing,
and locks do not change it.
"""

from __future__ import annotations

import dataclasses
import itertools
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from services.chassis.base.database import Connection, add_rows
from services.chassis.base.overtaking import Overtaken
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
    inner, parts = annotation, [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        inner = parts[0] if len(parts) == 1 else annotation
    if all(typing.get_origin(part) is typing.Literal for part in parts):
        inner = str
    if inner in _SQL_TYPES:
        return _Column(name, _SQL_TYPES[inner], None, None)
    if isinstance(inner, type) and issubclass(inner, Enum):
        return _Column(name, "text", inner, lambda value: value.value)
    inside: TypeAdapter[Any] = TypeAdapter(inner)
    return _Column(name, "jsonb", inside.validate_json, lambda value: inside.dump_json(value).decode())


class Table(Generic[R]):
    """A state table: the row type's fields are its columns, in this order.

    ``key`` names the primary key's fields; ``groups`` the fields by which rules ask for several rows. Supported
    field types: str, Literal of str, int, bool, UUID, datetime, date, bytes, enums of str, Optional of these; any other
    type that pydantic can write stands as jsonb. A store loads every row that a decision may change: a row that was not
    loaded is new, and is inserted. ``append_only`` rows are never loaded or replaced. ``adds_many``: most rows saved
    are new, and go by COPY, in a statement of their own (a third of the price).
    """

    def __init__(
        self,
        row: type[R],
        name: str,
        *,
        key: Sequence[str],
        groups: Sequence[str] = (),
        append_only: bool = False,
        adds_many: bool = False,
    ) -> None:
        self.row = row
        self.name = name
        self.key = tuple(key)
        self.groups = tuple(groups)
        self.append_only = append_only
        self.adds_many = adds_many or append_only
        hints = typing.get_type_hints(row)
        self.columns = [_column(f.name, hints[f.name]) for f in dataclasses.fields(typing.cast(Any, row))]
        self._names = [column.name for column in self.columns]
        self._values = attrgetter(*self._names)
        self._plain = all(column.read is None for column in self.columns)

    def declare(self, states: States) -> None:
        """Make the row type known to a batch's states."""
        key: Callable[[Any], Hashable] = attrgetter(*self.key)
        states.declare(self.row, key, {name: attrgetter(name) for name in self.groups})

    async def load(self, db: Connection, states: States, statement: str, *arguments: Any) -> list[R]:
        """Enter rows of this table into a batch's states. One statement.

        ``statement`` is a whole one of the store, ``SELECT <table>.* FROM <table> …`` with $1…, ready for psql; sent
        are the row's columns instead of ``*``, and the row version. Raises ``ValueError`` for any other beginning.
        """
        found = await db.fetch(self._columns_of(statement, f"{self._select}, {self.name}.xmin"), *arguments)
        rows = [self._read(row[:-1]) for row in found]
        states.load(rows, [row[-1] for row in found])
        return rows

    async def load_keys(self, db: Connection, states: States, keys: Iterable[Any]) -> list[R]:
        """Enter the rows with these values of a one-column key. One statement."""
        return await self.load(db, states, f"{self._every} WHERE {self.key[0]} = ANY($1)", list(keys))

    async def fetch(self, db: Connection, statement: str | None = None, *arguments: Any) -> list[R]:
        """Rows of this table for reading only, by a statement as ``load`` takes it; all rows where there is none."""
        found = await db.fetch(self._columns_of(statement or self._every, self._select), *arguments)
        return [self._read(row) for row in found]

    async def save(self, db: Connection, states: States) -> None:
        """Save what was changed of these rows: one statement, or two where some are new and ``adds_many`` holds; one
        more deletes, where some are gone.

        Raises ``Overtaken`` when another writer has changed one of them since it was loaded, or made one.
        """
        await self._delete_gone(db, states)
        loaded, row_versions, new = states.changes(self.row)
        if self.adds_many:
            await self.add(db, new)
            new = []
        if not loaded and not new:
            return
        try:
            saved = await db.fetchval(
                self._save, *self._arrays([*loaded, *new]), [*row_versions, *itertools.repeat(None, len(new))]
            )
        except asyncpg.UniqueViolationError as error:
            raise self._overtaken(error) from error
        if saved != len(loaded):
            raise Overtaken(self.name)

    async def _delete_gone(self, db: Connection, states: States) -> None:
        gone, row_versions = states.dropped(self.row)
        if gone:
            keys = [[getattr(row, name) for row in gone] for name in self.key]
            if await db.execute(self._delete, *keys, row_versions) != f"DELETE {len(gone)}":
                raise Overtaken(self.name)

    async def add(self, db: Connection, rows: Sequence[R]) -> None:
        """Insert rows that are new. One statement; none when there is nothing. Raises ``Overtaken``."""
        if not rows:
            return
        try:
            await add_rows(db, self.name, self._names, list(zip(*self._arrays(rows), strict=True)))
        except asyncpg.UniqueViolationError as error:
            raise self._overtaken(error) from error

    def _overtaken(self, error: asyncpg.UniqueViolationError) -> Exception:
        """``Overtaken`` if another writer made a row with this key; other unique constraints are for the rules."""
        return Overtaken(self.name) if error.constraint_name == f"{self.name}_pkey" else error

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
    def _every(self) -> str:
        return f"SELECT {self.name}.* FROM {self.name}"  # noqa: S608

    @cached_property
    def _select(self) -> str:
        return f"SELECT {', '.join(f'{self.name}.{name}' for name in self._names)}"

    def _columns_of(self, statement: str, columns: str) -> str:
        # Not ``*`` itself: the row's class says the columns and their order, and a column that a migration adds while
        # an older process runs must not change what this process has prepared.
        head, begin, rest = statement.partition(f"SELECT {self.name}.*")
        if head.strip() or not begin:
            raise ValueError(f"a statement for {self.name} begins with SELECT {self.name}.*")
        return columns + rest

    @cached_property
    def _delete(self) -> str:
        types = {column.name: column.sql_type for column in self.columns}
        arrays = ", ".join(f"${i}::{types[name]}[]" for i, name in enumerate(self.key, 1))
        same = " AND ".join(f"{self.name}.{name} = gone.{name}" for name in self.key)
        return f"""
DELETE FROM {self.name}
 USING unnest({arrays}, ${len(self.key) + 1}::xid[]) AS gone({", ".join(self.key)}, loaded_version)
 WHERE {same} AND {self.name}.xmin = gone.loaded_version"""  # noqa: S608

    @cached_property
    def _save(self) -> str:
        names = ", ".join(self._names)
        arrays = ", ".join(
            f"${i}::{'text' if c.sql_type == 'jsonb' else c.sql_type}[]" for i, c in enumerate(self.columns, 1)
        )
        picked = ", ".join(f"{c.name}::jsonb" if c.sql_type == "jsonb" else c.name for c in self.columns)
        rest = [name for name in self._names if name not in self.key] or self._names
        update = ", ".join(f"{name} = saved.{name}" for name in rest)
        same = " AND ".join(f"{self.name}.{name} = saved.{name}" for name in self.key)
        # An UPDATE that has waited for another transaction compares again, with the row as that transaction left it.
        return f"""
WITH saved AS MATERIALIZED (
    SELECT {picked}, loaded_version FROM unnest({arrays}, ${len(self.columns) + 1}::xid[]) AS t({names}, loaded_version)
), changed AS (
    UPDATE {self.name} SET {update} FROM saved WHERE {same} AND {self.name}.xmin = saved.loaded_version RETURNING 1
), made AS (
    INSERT INTO {self.name} ({names}) SELECT {names} FROM saved WHERE loaded_version IS NULL
)
SELECT count(*) FROM changed"""  # noqa: S608
