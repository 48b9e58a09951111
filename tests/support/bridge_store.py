"""The border on PostgreSQL without a broker: batches as the chassis applies them, under a clock set by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from aiokafka import TopicPartition
from pydantic import SecretStr

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import (
    ATTENDANCE_EVENTS,
    BRIDGE_COMMANDS,
    IDENTITY_EVENTS,
    OPPORTUNITIES_EVENTS,
    registry_source,
    registry_topic_for,
    service_source,
)
from deploy.local.registries import CONFIGURED
from services.bridge.service import build
from services.bridge.settings import BridgeSettings
from services.chassis import outbox
from services.chassis.database import Connection, Pool, open_pool
from services.chassis.live import LiveBatches
from services.chassis.migrations import migrate
from services.chassis.processing import Effects, Processor
from services.chassis.records import Record, unpack_headers
from services.chassis.reentry import Reentry
from services.chassis.service import Stream
from tests.support.bridge_messages import T0
from tests.support.clocks import HandClock
from tests.support.naming import SECRET

Kind = TypeVar("Kind", bound=Message)
_INNER = (IDENTITY_EVENTS, OPPORTUNITIES_EVENTS, ATTENDANCE_EVENTS, BRIDGE_COMMANDS)


class Lane:
    """One consumer group of the border over one connection, with all partitions of its topics."""

    def __init__(self, processor: Processor, stream: Stream, connection: Connection) -> None:
        self.stream = stream
        self.connection = connection
        self.live = LiveBatches(processor, stream, connection)
        self._offsets: defaultdict[TopicPartition, itertools.count[int]] = defaultdict(itertools.count)

    async def begin(self) -> None:
        """Stand at the beginning."""
        for entry in self.stream.topics:
            numbers = range(entry.partitions)
            self.live.next |= {TopicPartition(entry.name, number): 0 for number in numbers}
            rows = [(self.stream.group, entry.name, number) for number in numbers]
            await self.connection.executemany("INSERT INTO consumed VALUES ($1, $2, $3, 0)", rows)

    async def take(self, *events: Event, topic: str | None = None) -> Effects:
        """One batch."""
        return await self.live.apply([self.record(event, topic) for event in events])

    def record(self, event: Event, topic: str | None = None) -> Record:
        """The event where it stands in its topic, or in another one where it should not."""
        name = topic or registry_topic_for(event.source, type(event.data)) or _inner_topic(event.data)
        [entry] = [entry for entry in self.stream.topics if entry.name == name]
        value, headers = encode(event)
        place = TopicPartition(name, partition_for(event.key, entry.partitions))
        return Record(name, place.partition, next(self._offsets[place]), 0, event.key.encode(), headers, value)


def _inner_topic(message: Message) -> str:
    return next(entry.name for entry in _INNER if type(message) in entry.messages)


class BridgeOnPostgres:
    """The service with a lane per stream; ``said`` and ``heard`` make events, ``take`` applies them as one batch."""

    def __init__(self, pool: Pool, settings: BridgeSettings) -> None:
        self.pool = pool
        self.settings = settings
        self.clock = HandClock(T0)
        self.service = build(settings)
        self.processor = Processor(self.service, settings, self.clock)
        self.reentry = Reentry(self.processor, pool, asyncio.Event(), lambda *_: self.clock.now())
        self.lanes: dict[str, Lane] = {}

    async def say(self, code: str, *messages: Message) -> Effects:
        """A registry's messages, as one batch."""
        return await self.lanes[f"bridge.{code}"].take(*(self.said(code, message) for message in messages))

    async def hear(self, *messages: Message) -> Effects:
        """Inner messages, as one batch."""
        return await self.lanes["bridge"].take(*(self.heard(message) for message in messages))

    def said(self, code: str, message: Message) -> Event:
        """A registry's event."""
        return Event(str(uuid4()), registry_source(code), self.clock.now(), message)

    def heard(self, message: Message) -> Event:
        """An inner service's event."""
        return Event(str(uuid4()), service_source(message.TYPE.split(".")[1]), self.clock.now(), message)

    async def reenter(self) -> None:
        """Decide all that is ready."""
        while await self.reentry.once():
            pass

    async def pass_time(self, span: timedelta) -> None:
        """Let the clock go on; due timers come in as messages, what waited its time out is decided."""
        self.clock.moment += span
        async with self.pool.acquire() as db:
            await outbox.fire_due_timers(db, self.clock.now())
            rows = await db.fetch("DELETE FROM outbox WHERE topic = $1 RETURNING headers, value", BRIDGE_COMMANDS.name)
        due = [decode(row["value"], unpack_headers(row["headers"])) for row in rows]
        if due:
            await self.lanes["bridge"].take(*due)
        await self.reenter()

    async def sent(self, kind: type[Kind]) -> list[Kind]:
        """All messages of a kind that stand in the outbox, in order."""
        rows = await self.pool.fetch("SELECT headers, value FROM outbox ORDER BY id")
        messages = [decode(row["value"], unpack_headers(row["headers"])).data for row in rows]
        return [message for message in messages if isinstance(message, kind)]

    async def set_aside(self) -> list[str]:
        """Reasons of all messages set aside, in order."""
        return [row[0] for row in await self.pool.fetch("SELECT reason FROM set_aside ORDER BY seq")]


@asynccontextmanager
async def bridge_on(dsn: str, registries: Path = CONFIGURED, **settings: Any) -> AsyncIterator[BridgeOnPostgres]:
    """A migrated border with a connection a lane."""
    chosen = BridgeSettings(
        profile="test", database=SecretStr(dsn), naming_secret=SECRET, registries=registries, **settings
    )
    await migrate(dsn, build(chosen).migrations)
    pool = await open_pool(dsn, size=4, application="test")
    border = BridgeOnPostgres(pool, chosen)
    connections: list[Connection] = []
    try:
        for stream in border.service.streams:
            connections.append(await asyncpg.connect(dsn))
            lane = border.lanes[stream.group] = Lane(border.processor, stream, connections[-1])
            await lane.begin()
        yield border
    finally:
        for connection in connections:
            await connection.close(timeout=5)
        await pool.close()
