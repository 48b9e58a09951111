"""Attendance on PostgreSQL without a broker: batches as the chassis applies them, from messages."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition
from pydantic import SecretStr

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE_COMMANDS, OPPORTUNITIES_EVENTS, TopicEntry
from services.attendance.service import build
from services.attendance.settings import AttendanceSettings
from services.chassis.clock import Clock
from services.chassis.database import Connection
from services.chassis.live import LiveBatches
from services.chassis.migrations import migrate
from services.chassis.processing import Effects, Processor
from services.chassis.records import Record, unpack_headers
from tests.support.attendance import NOW, event_of
from tests.support.naming import SECRET


def topic_of(event: Event) -> TopicEntry:
    """The topic in which it travels."""
    return ATTENDANCE_COMMANDS if type(event.data) in ATTENDANCE_COMMANDS.messages else OPPORTUNITIES_EVENTS


def as_record(event: Event, offset: int = 0) -> Record:
    """The event as it stands in its topic."""
    entry = topic_of(event)
    value, headers = encode(event)
    partition = partition_for(event.key, entry.partitions)
    return Record(entry.name, partition, offset, 0, event.key.encode(), headers, value)


@dataclass
class AttendanceOnPostgres:
    """The service's rules and store on a database of their own."""

    dsn: str
    cap: int = 480
    await_facts: float = 60.0
    offsets: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.settings = AttendanceSettings(
            day_cap_minutes=self.cap,
            await_facts=self.await_facts,
            database=SecretStr(self.dsn),
            profile="test",
            naming_secret=SECRET,
        )
        self.service = build(self.settings)
        self.processor = Processor(self.service, self.settings, Clock())

    async def prepare(self) -> None:
        """Migrate."""
        await migrate(self.dsn, self.service.migrations)

    async def apply(self, db: Connection, messages: Sequence[Message], *, patient: bool = True) -> Effects:
        """One batch in one transaction; where it is not ``patient``, the time of what waits is up at once."""
        now = datetime.now(UTC)
        received = now if patient else now - timedelta(days=1)
        works = []
        for message in messages:
            offset = next(self.offsets)
            event = event_of(message, NOW + timedelta(seconds=offset))
            record = as_record(event, offset)
            works.append(self.processor.work(event, record, topic_of(event), received))
        effects = Effects()
        channels = [f"{OPPORTUNITIES_EVENTS.name}/{number}" for number in range(OPPORTUNITIES_EVENTS.partitions)]
        async with db.transaction():
            await self.processor.decide(db, works, effects, {} if patient else dict.fromkeys(channels, now))
            await self.processor.write(db, effects, None)
        return effects

    async def live(self, db: Connection, entry: TopicEntry) -> LiveBatches:
        """A lane that has all partitions of one topic, from their beginnings."""
        [stream] = self.service.streams
        lane = LiveBatches(self.processor, stream, db)
        for number in range(entry.partitions):
            lane.next[TopicPartition(entry.name, number)] = 0
            await db.execute("INSERT INTO consumed VALUES ($1, $2, $3, 0)", stream.group, entry.name, number)
        return lane


async def outgoing(db: Connection) -> list[Message]:
    """What stands in the outbox, in order."""
    rows = await db.fetch("SELECT headers, value FROM outbox ORDER BY id")
    return [decode(row["value"], unpack_headers(row["headers"])).data for row in rows]
