"""Identity's decisions on a real database, batch by batch as the chassis makes them, without a broker."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS, service_source
from services.chassis import outbox
from services.chassis.database import Connection
from services.chassis.migrations import migrate
from services.chassis.processing import Effects, Processor, Work
from services.chassis.records import Record, unpack_headers
from services.chassis.settings import Settings
from services.identity.service import build
from tests.support.clocks import HandClock
from tests.support.identity import T0
from tests.support.naming import SECRET


class Linker:
    """The service's processor over one connection."""

    def __init__(self, db: Connection, clock: HandClock | None = None) -> None:
        settings = Settings(profile="test", await_facts=60, naming_secret=SECRET)
        self.db = db
        self.clock = clock or HandClock(T0)
        self.service = build(settings)
        self.processor = Processor(self.service, settings, self.clock)
        self._offsets = itertools.count()

    def work(self, command: Message, at: datetime | None = None) -> Work:
        """A command as a consumer hands it over."""
        event = Event(str(uuid.uuid4()), service_source("bridge"), at or self.clock.now(), command)
        value, headers = encode(event)
        partition = partition_for(event.key, IDENTITY_COMMANDS.partitions)
        record = Record(IDENTITY_COMMANDS.name, partition, next(self._offsets), 0, event.key.encode(), headers, value)
        return self.processor.work(event, record, IDENTITY_COMMANDS, self.clock.now())

    async def batch(self, *commands: Message, meet: asyncio.Barrier | None = None) -> Effects:
        """Decide and commit one batch; before it commits, whoever else is at the barrier has decided too, or waits."""
        effects = Effects()
        async with self.db.transaction():
            await self.processor.decide(self.db, [self.work(one) for one in commands], effects)
            await self.processor.write(self.db, effects, "identity")
            if meet is not None:
                await meet.wait()
        return effects

    async def facts(self) -> list[Message]:
        """What stands in the outbox for others, in order."""
        rows = await self.db.fetch(
            "SELECT headers, value FROM outbox WHERE topic = $1 ORDER BY id", IDENTITY_EVENTS.name
        )
        return [decode(row["value"], unpack_headers(row["headers"])).data for row in rows]

    async def due(self) -> list[Message]:
        """Let due timers fire; give their messages."""
        await outbox.fire_due_timers(self.db, self.clock.now())
        rows = await self.db.fetch(
            "DELETE FROM outbox WHERE topic = $1 RETURNING headers, value", IDENTITY_COMMANDS.name
        )
        return [decode(row["value"], unpack_headers(row["headers"])).data for row in rows]


@asynccontextmanager
async def linkers(dsn: str, count: int = 1) -> AsyncIterator[Sequence[Linker]]:
    """So many processors with a connection each, on a migrated database, under one clock."""
    clock = HandClock(T0)
    await migrate(dsn, build(Settings(profile="test")).migrations)
    connections = [await asyncpg.connect(dsn) for _ in range(count)]
    try:
        yield [Linker(connection, clock) for connection in connections]
    finally:
        for connection in connections:
            await connection.close(timeout=5)
