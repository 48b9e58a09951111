"""A linkage's services on PostgreSQL, each on a database of its own, with nothing else changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition

from services.chassis import outbox, positions, set_aside
from services.chassis.database import Connection, Pool, open_connection, open_pool
from services.chassis.migrations import migrate
from services.chassis.outbox import OutboxRow
from services.chassis.service import Service
from services.chassis.set_aside import Aside
from services.chassis.storage import POSTGRES, Storage

__all__ = ["OnPostgres", "on_postgres"]

R = TypeVar("R")
_OUTBOX: Final = "SELECT id, topic, key, headers, value FROM outbox ORDER BY id"
_ASIDES: Final = "SELECT * FROM set_aside ORDER BY seq"


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

    async def begin(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offsets stored for a group; 0 where none was."""
        stored = await positions.read(self.pool, group, dict.fromkeys(places, 0))
        return {tp: stored[tp].next_offset for tp in places}

    async def standing(self) -> list[tuple[int, OutboxRow]]:
        """The outbox, in order."""
        return [(row[0], OutboxRow(*row[1:])) for row in await self.pool.fetch(_OUTBOX)]

    async def forget(self, ids: Sequence[int]) -> None:
        """Remove rows of the outbox that were published."""
        await self.pool.execute("DELETE FROM outbox WHERE id = ANY($1)", list(ids))

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


async def on_postgres(stack: AsyncExitStack, service: Service, dsn: str) -> OnPostgres:
    """This service on this database, migrated; the stack closes what is opened."""
    await migrate(dsn, service.migrations)
    pool = await open_pool(dsn, size=2, application=service.name)
    stack.push_async_callback(pool.close)
    return OnPostgres(service, dsn, pool, stack)
