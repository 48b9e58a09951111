"""A service's database that is made from records alone, read whole, to compare it with another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import uuid4

import asyncpg
import orjson
from aiokafka import TopicPartition
from pydantic import SecretStr

from contracts.envelope import Event, encode
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import TopicEntry, all_topics, registry_topic_for, service_source
from deploy.local.registries import CONFIGURED
from services.chassis.database import Connection
from services.chassis.live import LiveBatches
from services.chassis.migrations import migrate
from services.chassis.processing import Processor
from services.chassis.records import Record, unpack_headers
from services.chassis.service import Service
from tests.support.clocks import HandClock
from tests.support.every_settings import EverySettings
from tests.support.naming import SECRET

__all__ = ["T0", "Batch", "Books", "Build", "Log", "alone", "books_of"]

Build: TypeAlias = Callable[[EverySettings], Service]
T0: Final = datetime.fromisoformat("2026-07-18T06:00:00+00:00")
_OUTER: Final = {entry.name: entry for entry in all_topics(["gz", "sz"])}
_NOT_BOOKS: Final = ("consumed", "migration", "naming", "probe")
"""Tables that say where consumers stand, which migrations ran, and facts of the database itself."""
_OF_THE_CLOCK: Final = ("seen_at", "made_at", "received_at", "deadline")
"""When a row was written, and when a message came in, from which its wait is counted."""


class Batch(NamedTuple):
    """Records of one stream that come in at this moment."""

    moment: datetime
    records: Sequence[Record]


def alone(batches: Iterable[Batch]) -> list[Batch]:
    """The same, each record by itself at the moment at which it was decided."""
    return [
        Batch(batch.moment + place * timedelta(microseconds=1), [record])
        for batch in batches
        for place, record in enumerate(batch.records)
    ]


class Log:
    """Records at their places, stamped a second apart."""

    def __init__(self) -> None:
        self._offsets: defaultdict[tuple[str, int], count[int]] = defaultdict(count)
        self._moments = count(int(T0.timestamp() * 1000), 1000)

    def record(self, entry: TopicEntry, event: Event, value: bytes | None = None) -> Record:
        """An event where its key belongs; with ``value``, other bytes under its headers."""
        body, headers = encode(event)
        place = (entry.name, partition_for(event.key, entry.partitions))
        key, moment = event.key.encode(), next(self._moments)
        return Record(*place, next(self._offsets[place]), moment, key, headers, value or body, None, appended=True)

    def inner(self, entry: TopicEntry, sender: str, message: Message, at: datetime = T0) -> Record:
        """A service's."""
        return self.record(entry, Event(str(uuid4()), service_source(sender), at, message))

    def outer(self, event: Event, value: bytes | None = None) -> Record:
        """A registry's."""
        return self.record(_OUTER[registry_topic_for(event.source, type(event.data)) or ""], event, value)


class Books(NamedTuple):
    """The rows of a service by table, and its messages in order."""

    tables: dict[str, list[str]]
    said: list[tuple[dict[str, str], Any]]

    def ids(self) -> set[str]:
        """Of all messages in the outbox."""
        return {headers["ce_id"] for headers, _ in self.said}

    def types(self) -> set[str]:
        """What kinds of messages stand in the outbox."""
        return {headers["ce_type"].split(".")[2] for headers, _ in self.said}


async def books_of(dsn: str, build: Build, batches: Sequence[Batch], secret: SecretStr = SECRET) -> Books:
    """Decide these on a fresh database."""
    settings = EverySettings(
        profile="test",
        database=SecretStr(dsn),
        registries=CONFIGURED,
        registry="sz",
        sandbox_url="http://127.0.0.1:1",
        naming_secret=secret,
    )
    service, clock = build(settings), HandClock(T0)
    await migrate(dsn, service.migrations)
    processor = Processor(service, settings, clock)
    streams = {entry.name: stream for stream in service.streams for entry in stream.topics}
    db: Connection = await asyncpg.connect(dsn)
    try:
        lanes = {stream.group: LiveBatches(processor, stream, db) for stream in service.streams}
        for place in sorted({record[:2] for batch in batches for record in batch.records}):
            lanes[streams[place[0]].group].next[TopicPartition(*place)] = 0
            await db.execute("INSERT INTO consumed VALUES ($1, $2, $3, 0)", streams[place[0]].group, *place)
        for batch in batches:
            clock.moment = batch.moment
            await lanes[streams[batch.records[0].topic].group].apply(batch.records)
        return await _read(db)
    finally:
        await db.close()


async def _read(db: Connection) -> Books:
    tables = {}
    for (name,) in await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        if name not in _NOT_BOOKS:
            rows = await db.fetch(f"SELECT to_jsonb(t) - $1::text[] FROM {name} AS t", _OF_THE_CLOCK)
            tables[name] = sorted(row[0] for row in rows)
    said = []
    for topic, packed, value in await db.fetch("SELECT topic, headers, value FROM outbox ORDER BY id"):
        headers = {name: (raw or b"").decode() for name, raw in unpack_headers(packed)}
        said.append(({"topic": topic, **headers}, orjson.loads(value)))
    return Books(tables, said)
