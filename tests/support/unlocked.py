"""A service whose batches take no locks: several lanes on one database, made to meet between loading and saving."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from aiokafka import TopicPartition

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.topics import TopicEntry
from services.chassis.aside.reentry import Reentry
from services.chassis.base import metrics
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, Connection, Pool
from services.chassis.base.failures import is_transient
from services.chassis.base.migrations import migrate
from services.chassis.base.settings import Settings
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.processing import Effects, Processor
from services.chassis.decisions import States
from services.chassis.log.records import Record, unpack_headers
from services.chassis.service import Service, Store, Stream
from tests.support.waiting import eventually

__all__ = ["Unlocked", "overtaken", "unlocked"]

M = TypeVar("M", bound=Message)


async def _only_named(batch: Batch, names: Iterable[str]) -> set[str]:
    """``Batch.lock`` that locks nothing."""
    batch.locked.update(names)
    return set()


class _Meeting:
    """A store whose first loads wait for each other, so that all batches have read before one writes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.barrier: asyncio.Barrier | None = None

    @property
    def tables(self) -> Sequence[Any]:
        return self.store.tables

    def needs(self) -> Any:
        return self.store.needs()

    async def load(self, batch: Batch, needs: Any, states: States) -> None:
        await self.store.load(batch, needs, states)
        barrier = self.barrier
        if barrier is None:
            return
        if barrier.n_waiting == barrier.parties - 1:
            self.barrier = None  # a batch that was overtaken reads again alone
        await barrier.wait()


class Unlocked:
    """Lanes of one service; each has topics of its own, and no lane is kept from what another one decides."""

    def __init__(self, service: Service, settings: Settings, connections: Sequence[Connection], clock: Clock) -> None:
        self._meeting = _Meeting(service.store)
        streams = tuple(replace(one, topics=tuple(_own(0, entry) for entry in one.topics)) for one in service.streams)
        self.service = replace(service, store=self._meeting, streams=streams)
        self.processor = Processor(self.service, settings, clock)
        self._connections = connections
        self._lanes: dict[tuple[int, str], LiveBatches] = {}
        self._offsets: defaultdict[tuple[int, str], itertools.count[int]] = defaultdict(itertools.count)

    @property
    def db(self) -> Connection:
        """A connection for the test's own questions."""
        return self._connections[0]

    async def begin(self) -> None:
        """Every lane stands at the beginning of its topics."""
        for number, db in enumerate(self._connections):
            for stream in self.service.streams:
                own = replace(stream, topics=tuple(_own(number, entry) for entry in stream.topics))
                lane = self._lanes[number, stream.group] = LiveBatches(self.processor, own, db)
                for entry in own.topics:
                    lane.next[TopicPartition(entry.name, 0)] = 0
                    await db.execute("INSERT INTO consumed VALUES ($1, $2, 0, 0)", stream.group, entry.name)

    async def together(self, *batches: Sequence[Event]) -> list[Effects]:
        """Decide a batch in each lane; all of them load before one saves."""
        self._meeting.barrier = asyncio.Barrier(len(batches))
        async with asyncio.timeout(120):
            return list(await asyncio.gather(*(self.take(n, *events) for n, events in enumerate(batches))))

    @asynccontextmanager
    async def held_before_saving(self, number: int, *events: Event) -> AsyncIterator[None]:
        """A batch in this lane. It has loaded when the context is entered, and saves when it is left."""
        barrier = self._meeting.barrier = asyncio.Barrier(2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.take(number, *events))
            await eventually(lambda: barrier.n_waiting == 1)
            yield
            self._meeting.barrier = None
            await barrier.wait()

    async def beside_reentry(self, pool: Pool, *events: Event) -> None:
        """Decide a batch in lane 1 and the messages set aside in lane 0; both load before one saves."""
        back = Reentry(self.processor, pool, asyncio.Event(), lambda _, __: None)
        self._meeting.barrier = asyncio.Barrier(2)
        async with asyncio.timeout(120):
            await asyncio.gather(back.once(), self.take(1, *events))

    async def take(self, number: int, *events: Event) -> Effects:
        """Decide one batch in this lane. Batches that deadlock try again, as lanes do."""
        stream = self._stream(events[0])
        records = [self._record(number, event) for event in events]
        while True:
            try:
                return await self._lanes[number, stream.group].apply(records)
            except Exception as error:
                if not is_transient(error):
                    raise

    def _stream(self, event: Event) -> Stream:
        return next(
            stream
            for stream in self.service.streams
            if event.source in stream.sources and any(type(event.data) in entry.messages for entry in stream.topics)
        )

    def _record(self, number: int, event: Event) -> Record:
        stream = self._stream(event)
        topic = next(_own(number, entry).name for entry in stream.topics if type(event.data) in entry.messages)
        value, headers = encode(event)
        return Record(topic, 0, next(self._offsets[number, topic]), 0, event.key.encode(), headers, value)

    async def told(self, kind: type[M]) -> list[M]:
        """All messages of a kind that stand in the outbox, in order."""
        rows = await self.db.fetch("SELECT headers, value FROM outbox ORDER BY id")
        messages = [decode(row["value"], unpack_headers(row["headers"])).data for row in rows]
        return [message for message in messages if isinstance(message, kind)]

    async def aside(self) -> list[str]:
        """Why messages are set aside, in order."""
        return [row[0] for row in await self.db.fetch("SELECT reason FROM set_aside ORDER BY seq")]


@asynccontextmanager
async def unlocked(
    monkeypatch: Any, dsn: str, service: Service, settings: Settings, *, lanes: int = 2, clock: Clock | None = None
) -> AsyncIterator[Unlocked]:
    """The service on a migrated database, with all locks taken away."""
    monkeypatch.setattr(Batch, "lock", _only_named)
    await migrate(dsn, service.migrations)
    connections: list[Connection] = [await asyncpg.connect(dsn) for _ in range(lanes)]
    try:
        made = Unlocked(service, settings, connections, clock or Clock())
        await made.begin()
        yield made
    finally:
        for connection in connections:
            await connection.close(timeout=5)


def _own(number: int, entry: TopicEntry) -> TopicEntry:
    """A topic with one partition for a lane: the fence would keep two lanes apart that read one partition."""
    return replace(entry, name=f"{entry.name}.{number}" if number else entry.name, partitions=1)


def overtaken() -> float:
    """How many batches have been decided again in this process."""
    collected = metrics.own().overtaken.collect()
    return sum(s.value for metric in collected for s in metric.samples if s.name.endswith("_total"))


def event_of(source: str, message: Message, at: Any) -> Event:
    """A message under a fresh id."""
    return Event(str(uuid4()), source, at, message)
