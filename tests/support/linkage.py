"""Any set of services on one log in memory, under one clock, by the chassis' own batches and re-entry.

Nothing happens by itself: ``take`` applies what lies next in partitions, ``send`` publishes what stands in an outbox,
``fire`` lets due timers go, ``reenter`` decides again what was set aside, and ``settle`` does all of it until nothing
moves.
Each service stands on a database of its own: in memory, or on PostgreSQL (``tests/support/on_postgres.py``).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition

from contracts.envelope import Event
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import TopicEntry, registry_source, registry_topic_for, service_source
from services.chassis import channels
from services.chassis.aside.reentry import Reentry
from services.chassis.base.clock import Clock
from services.chassis.base.database import Connection, Pooled
from services.chassis.base.settings import Settings
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.passed import Place
from services.chassis.batch.processing import Effects, Processor
from services.chassis.batch.set_aside import Aside
from services.chassis.lanes.heard import HeardPartitions
from services.chassis.log.records import Record, unpack_headers
from services.chassis.outgoing import said
from services.chassis.restoring.restored import Restoring
from services.chassis.service import Service
from tests.support.bases import Base
from tests.support.clocks import HandClock
from tests.support.life import row_of
from tests.support.log import Log
from tests.support.log_reader import means_of

__all__ = ["Linkage", "Log", "Member", "at_once"]

T = TypeVar("T")


_BEFORE: Final = timedelta(microseconds=1)
"""A look takes its moment before anything else; a clock set by hand shows the same moment to what comes after."""


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, as all are that stand on memory alone."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise AssertionError("it waits for something outside of memory")


class Member:
    """One instance of a service on the log. Started again, it knows what its database knows and nothing else."""

    def __init__(self, service: Service, base: Base, settings: Settings, log: Log, clock: Clock) -> None:
        self.service = service
        self.settings = settings
        self.base = base
        self.log = log
        self.clock = clock
        self.lanes: dict[str, LiveBatches] = {}
        self._heard = HeardPartitions(clock)
        self.paused: Collection[str] = ()
        """Groups that an operator has paused: nothing of them is read."""

    async def start(self) -> None:
        """Begin, or begin again."""
        self.processor = Processor(self.service, self.settings, self.clock, self.base.storage)
        self.reentry = Reentry(self.processor, self.base.pool, asyncio.Event(), self.heard_to)
        self.lanes.clear()
        self._heard = HeardPartitions(self.clock)
        for stream in self.service.streams:
            places = [TopicPartition(entry.name, n) for entry in stream.topics for n in range(entry.partitions)]
            known = await self.base.begin(stream.group, places)
            session = await self.base.session(stream.group)
            self.lanes[stream.group] = LiveBatches(self.processor, stream, session, known)
            self.processor.takes_over({(tp.topic, tp.partition): offset for tp, offset in known.items()})
        await self.look_at_pauses()

    async def restart(self) -> None:
        """Begin as a process does: find out whether the database was restored, and replay what came since."""
        means = means_of(self.log, self.base)
        await Restoring(self.service, self.settings, self.clock, self.base.pool, 1, means).once()
        await self.start()

    async def look_at_pauses(self) -> None:
        """Find out which groups an operator has paused."""
        async with Pooled(self.base.pool) as pooled:
            self.paused = await self.processor.paused_groups(pooled.db)

    def unread(self, group: str) -> list[TopicPartition]:
        """The partitions of a group in which something lies that is not applied; none of a group that is paused."""
        if group in self.paused:
            return []
        known, log = self.lanes[group].next, self.log
        topics = self.lanes[group].stream.topics
        return [tp for entry in topics for tp in log.used.get(entry.name, ()) if known[tp] < len(log.partitions[tp])]

    async def take(self, group: str, places: Sequence[TopicPartition], most: int = 500) -> Effects:
        """Apply as one batch what lies next in these partitions, up to ``most`` of each."""
        known = self.lanes[group].next
        records = [record for tp in places for record in self.log.partitions[tp][known[tp] : known[tp] + most]]
        return await self.lanes[group].apply(records)

    async def apply(self, records: Sequence[Record]) -> Effects:
        """Apply these records as one batch, in this order. In each partition they lie next; one group reads them."""
        [lane] = [lane for lane in self.lanes.values() if records[0].topic in {e.name for e in lane.stream.topics}]
        return await lane.apply(records)

    async def reenter(self) -> int:
        """Decide again what is ready or has waited long enough; gives how many."""
        return await self.reentry.once()

    async def fire(self) -> int:
        """Let due timers go; gives how many."""
        return await self.base.fire(self.clock.now())

    async def standing(self) -> dict[TopicPartition, list[tuple[int, OutboxRow]]]:
        """What is to be published, by partition, in order."""
        found: dict[TopicPartition, list[tuple[int, OutboxRow]]] = {}
        for id, row in await self.base.standing():
            place = TopicPartition(row.topic, partition_for(row.key, self.log.entries[row.topic].partitions))
            found.setdefault(place, []).append((id, row))
        return found

    async def send(self, rows: Sequence[tuple[int, OutboxRow]], *, forget: bool = True) -> None:
        """Publish these rows of the outbox; where it does not ``forget`` them, it has died before it could."""
        ends: dict[Place, int] = {}
        async with Pooled(self.base.pool) as pooled:
            if await said.some_open(pooled.db):
                rows = await self._sifted(pooled.db, rows)
            for _, row in rows:
                written = self.log.write(row.topic, row.key.encode(), unpack_headers(row.headers), row.value)
                ends[written.topic, written.partition] = written.offset + 1
            if forget and rows:
                await said.tell(pooled.db, [id for id, _ in rows], ends)

    async def _sifted(self, db: Connection, rows: Sequence[tuple[int, OutboxRow]]) -> list[tuple[int, OutboxRow]]:
        """The rows of the outbox, of those given, that are to be published; the others are done (``said.sift``)."""
        kept = await said.sift(db, [row_of(*row) for row in rows], self.clock, self.base.storage)
        left = {row["id"] for row in kept}
        return [row for row in rows if row[0] in left]

    async def release(self, rows: Sequence[Aside]) -> None:
        """What an operator's release does about messages that raised: they are decided again, in their queues."""
        storage = self.base.storage
        async with Pooled(self.base.pool) as pooled, storage.transaction(pooled.db):
            await storage.rewrite(pooled.db, [replace(row, reason="behind") for row in rows])
            await storage.unpark(pooled.db, [row.subject for row in rows if row.subject is not None])

    def heard_to(self, brought_by: str, due: datetime) -> datetime | None:
        """As ``Hearing.heard_to``: all that lay on these channels when it was asked for is applied."""
        offsets = {tp: offset for lane in self.lanes.values() for tp, offset in lane.next.items()}
        for tp in (tp for group in self.paused for tp in self.lanes[group].next):
            self._heard.reached(tp, self.clock.now() - _BEFORE)
        topics = {tp.topic for tp in offsets}
        moments = [
            self._heard_out(tp, due, offsets[tp])
            for topic, only in channels.places(brought_by)
            if topic in topics
            for tp in (tp for tp in offsets if tp.topic == topic and only in (None, tp.partition))
        ]
        known = [moment for moment in moments if moment is not None]
        return min(known, default=self.clock.now()) if len(known) == len(moments) else None

    def _heard_out(self, tp: TopicPartition, due: datetime, offset: int) -> datetime | None:
        if (moment := self._heard.to(tp, due)) is not None:
            return moment
        if tp in self._heard.asked:
            self._heard.take([(tp, self.log.end(tp))], self._heard.now())
        one = self._heard.listening[tp]
        if offset < one.end:
            return None
        self._heard.reached(tp, one.moment)
        return one.moment if one.moment >= due else None


class Linkage:
    """Services and their log. Registries are whoever says and reads what lies on it."""

    def __init__(self, members: Sequence[Member], log: Log, clock: HandClock) -> None:
        self.members: Mapping[str, Member] = {member.service.name: member for member in members}
        self.log = log
        self.clock = clock
        self._count = itertools.count(1)

    @property
    def now(self) -> datetime:
        """The one clock."""
        return self.clock.moment

    def say(self, code: str, message: Message, *, time: datetime | None = None, id: str | None = None) -> str:
        """A registry says something; gives the id of its message."""
        source = registry_source(code)
        topic = registry_topic_for(source, type(message))
        assert topic is not None, "no registry says this"
        return self._say(topic, source, message, time, id)

    def hear(
        self, sender: str, topic: TopicEntry, message: Message, *, time: datetime | None = None, id: str | None = None
    ) -> str:
        """A service that is not among the members says something; gives the id of its message."""
        return self._say(topic.name, service_source(sender), message, time, id)

    def _say(self, topic: str, source: str, message: Message, time: datetime | None, id: str | None) -> str:
        event = Event(id or f"m{next(self._count)}", source, time or self.now, message)
        self.log.say(topic, event)
        return event.id

    async def settle(self, *names: str) -> None:
        """Let everything move, or what these members do, until nothing moves."""
        members = [self.members[name] for name in names or self.members]
        while any([await self._turn(member) for member in members]):
            pass

    async def pass_time(self, span: timedelta, *names: str) -> None:
        """Let the clock go on, and everything that follows from it."""
        self.clock.moment += span
        await self.settle(*names)

    @staticmethod
    async def _turn(member: Member) -> bool:
        moved = bool(await member.fire())
        for group in member.lanes:
            while unread := member.unread(group):
                await member.take(group, unread)
                moved = True
        while await member.reenter():
            moved = True
        if rows := await member.base.standing():
            await member.send(rows)  # in the order of the decisions, over all partitions
            moved = True
        return moved
