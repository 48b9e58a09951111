"""A service's database made from records alone, and the whole of it as text, to compare with another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg
from aiokafka import TopicPartition

from services.chassis.clock import Clock
from services.chassis.database import Connection
from services.chassis.live import LiveBatches
from services.chassis.migrations import migrate
from services.chassis.processing import Processor
from services.chassis.records import Record, unpack_headers
from services.chassis.service import Service
from services.chassis.settings import Settings

__all__ = ["Books", "books_of"]

_NOT_BOOKS: Final = ("consumed", "migration", "naming", "probe")
"""Where a consumer stands, what was migrated, and what tests have of the database itself."""


class Books:
    """The state of a service, by table, each row as JSON without its moment of writing; and what it says."""

    def __init__(self, tables: dict[str, list[str]], events: list[dict[str, str]]) -> None:
        self.tables = tables
        self.events = events

    def ids(self) -> set[str]:
        """Of all messages in the outbox."""
        return {event["ce_id"] for event in self.events}


async def books_of(
    dsn: str, service: Service, settings: Settings, batches: Sequence[Sequence[Record]], clock: Clock
) -> Books:
    """Decide these records, batch by batch, on a fresh database; all of a batch are of one stream."""
    await migrate(dsn, service.migrations)
    processor = Processor(service, settings, clock)
    db: Connection = await asyncpg.connect(dsn)
    try:
        lanes = {stream.group: LiveBatches(processor, stream, db) for stream in service.streams}
        streams = {entry.name: stream for stream in service.streams for entry in stream.topics}
        for place in sorted({(record.topic, record.partition) for batch in batches for record in batch}):
            group = streams[place[0]].group
            lanes[group].next[TopicPartition(*place)] = 0
            await db.execute("INSERT INTO consumed VALUES ($1, $2, $3, 0)", group, *place)
        for batch in batches:
            await lanes[streams[batch[0].topic].group].apply(batch)
        return await _read(db)
    finally:
        await db.close()


async def _read(db: Connection) -> Books:
    names = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    tables = {}
    for (name,) in names:
        if name in _NOT_BOOKS:
            continue
        rows = await db.fetch(f"SELECT to_jsonb(t) - '{{seen_at,made_at}}'::text[] AS row FROM {name} AS t")
        tables[name] = sorted(row["row"] for row in rows)
    outbox = await db.fetch("SELECT topic, headers FROM outbox ORDER BY id")
    events = [{name: (raw or b"").decode() for name, raw in unpack_headers(row["headers"])} for row in outbox]
    return Books(tables, events)
