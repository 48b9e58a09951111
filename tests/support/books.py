"""A service's database that is made from records alone, read whole, to compare it with another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import uuid4

import orjson
from pydantic import SecretStr

from contracts.envelope import Event, encode
from contracts.messages import Message
from contracts.topics import TopicEntry, registry_topic_for, service_source
from services.chassis.base.database import Connection
from services.chassis.log.records import Headers, Record, unpack_headers
from services.chassis.service import Service
from tests.support.clocks import HandClock
from tests.support.every_settings import EverySettings
from tests.support.linkage import Log, Member
from tests.support.linkages import settings_of
from tests.support.naming import SECRET
from tests.support.on_postgres import on_postgres

__all__ = ["T0", "Batch", "Books", "Build", "TimedLog", "alone", "books_of"]

Build: TypeAlias = Callable[[EverySettings], Service]
T0: Final = datetime.fromisoformat("2026-07-18T06:00:00+00:00")
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


class TimedLog(Log):
    """Records lie on it a second apart."""

    def __init__(self) -> None:
        self._hand = HandClock(T0)
        super().__init__(self._hand)

    def write(self, topic: str, key: bytes, headers: Headers, value: bytes) -> Record:
        """Append a record; the next one comes a second later."""
        record = super().write(topic, key, headers, value)
        self._hand.moment += timedelta(seconds=1)
        return record

    def inner(self, entry: TopicEntry, sender: str, message: Message, at: datetime = T0) -> Record:
        """A service's."""
        return self.say(entry.name, Event(str(uuid4()), service_source(sender), at, message))

    def outer(self, event: Event, value: bytes | None = None) -> Record:
        """A registry's; with ``value``, other bytes under its headers."""
        body, headers = encode(event)
        topic = registry_topic_for(event.source, type(event.data))
        assert topic is not None
        return self.write(topic, event.key.encode(), headers, value or body)


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
    settings = settings_of({"registry": "sz", "naming_secret": secret})
    service, clock = build(settings), HandClock(T0)
    async with AsyncExitStack() as stack:
        base = await on_postgres(stack, service, dsn)
        member = Member(service, base, settings, Log(clock), clock)
        await member.start()
        for batch in batches:
            clock.moment = batch.moment
            await member.apply(batch.records)
        async with base.pool.acquire() as db:
            return await _read(db)


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
