"""A linkage's services on PostgreSQL, each on a database of its own, with nothing else changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka import TopicPartition

from services.chassis.base.database import Connection, Pool, open_connection, open_pool
from services.chassis.base.migrations import migrate
from services.chassis.batch import outbox, set_aside
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import POSTGRES, Storage
from services.chassis.log import positions
from services.chassis.service import Service

__all__ = ["OnPostgres", "on_postgres"]

R = TypeVar("R")
_OUTBOX: Final = "SELECT id, topic, key, headers, value FROM outbox ORDER BY id"
_ASIDES: Final = "SELECT * FROM set_aside ORDER BY seq"
_TABLES: Final = """SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position)
  FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
 WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND is_generated = 'NEVER' GROUP BY table_name
 ORDER BY table_name"""
_SEQUENCES: Final = "SELECT sequencename, last_value FROM pg_sequences"


class _Dump(NamedTuple):
    tables: dict[str, tuple[list[str], list[Any]]]
    sequences: list[tuple[str, int | None]]


@dataclass(frozen=True, slots=True)
class OnPostgres:
    """The database of one service."""

    service: Service
    dsn: str
    pool: Pool
    stack: AsyncExitStack
    storage: Storage = POSTGRES
    sessions: dict[str, Connection] = field(default_factory=dict)

    async def session(self, group: str) -> Connection:
        """For batches: each group has a connection of its own, so that two groups' batches can run at once."""
        if group not in self.sessions:
            opened = self.sessions[group] = await open_connection(self.dsn, application=self.service.name)
            self.stack.push_async_callback(opened.close, timeout=5)
        return self.sessions[group]

    async def new_session(self) -> Connection:
        """A connection for the batches of a replay, which ends it."""
        return await open_connection(self.dsn, application=self.service.name)

    async def dump(self) -> _Dump:
        """A copy of all tables."""
        async with self.pool.acquire() as db:
            tables = {
                name: (columns, await db.fetch(f"SELECT {_named(columns)} FROM {name}"))
                for name, columns in await db.fetch(_TABLES)
            }
            return _Dump(tables, [(row[0], row[1]) for row in await db.fetch(_SEQUENCES)])

    async def restore(self, dump: _Dump) -> None:
        """Have all tables as they were in that copy. A table that others refer to comes before them by its name."""
        async with self.pool.acquire() as db, db.transaction():
            await db.execute(f"TRUNCATE {', '.join(dump.tables)}")
            for name, (columns, rows) in dump.tables.items():
                await db.copy_records_to_table(name, columns=columns, records=[tuple(row) for row in rows])
            for name, last in dump.sequences:
                await db.execute("SELECT setval($1::text::regclass, $2, $3)", name, last or 1, last is not None)

    async def begin(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offsets stored for a group; 0 where none was."""
        stored = await positions.read(self.pool, group, dict.fromkeys(places, 0))
        return {tp: stored[tp].next_offset for tp in places}

    async def standing(self) -> list[tuple[int, OutboxRow]]:
        """The outbox, in order."""
        return [(row[0], OutboxRow(*row[1:])) for row in await self.pool.fetch(_OUTBOX)]

    async def fire(self, now: datetime) -> int:
        """Move due timers to the outbox; gives how many."""
        async with self.pool.acquire() as db:
            return await outbox.fire_due_timers(db, now)

    async def due(self) -> dict[str, datetime]:
        """The timers that stand, by name."""
        return {row[0]: row[1] for row in await self.pool.fetch("SELECT name, due FROM timer")}

    async def set_aside(self) -> list[Aside]:
        """What is set aside, in order."""
        async with self.pool.acquire() as db:
            return await set_aside.chosen(db, _ASIDES)

    async def all_of(self, kind: type[R]) -> list[R]:
        """Every row of a type."""
        [table] = [table for table in self.service.store.tables if table.row is kind]
        async with self.pool.acquire() as db:
            found: list[Any] = await table.fetch(db, "")
            return found


def _named(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


async def on_postgres(stack: AsyncExitStack, service: Service, dsn: str) -> OnPostgres:
    """This service on this database, migrated; the stack closes what is opened."""
    await migrate(dsn, service.migrations)
    pool = await open_pool(dsn, size=4, application=service.name)
    await pool.execute("UPDATE migration SET applied_at = 'epoch'")  # clocks set by hand may stand before
    stack.push_async_callback(pool.close)
    return OnPostgres(service, dsn, pool, stack)
