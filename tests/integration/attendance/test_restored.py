"""What attendance decided without a word has its place in a replay: a sign-up that ended, a check-in that waited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import encode
from contracts.messages import Message, opportunities
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE_COMMANDS, ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.attendance.service import build
from services.chassis.base.migrations import migrate
from services.chassis.process.runtime import Runtime
from services.chassis.service import Service
from tests.conftest import NewDatabase
from tests.support.attendance import PROJECT, XIA, at, attest, check_in, event_of, signup
from tests.support.every_settings import EverySettings
from tests.support.own_topics import under_names
from tests.support.restoring import living, name_of, said_on, settings_of, twice
from tests.support.waiting import eventually

_FACTS = "SELECT host, record_ref, person, version, held_for FROM service_record ORDER BY host, record_ref"
_SIGNUPS = "SELECT id, state FROM signup ORDER BY id"
_APPLIED = "SELECT count(*) = $1 FROM inbox"
_SAID = "SELECT count(*) = 0 FROM outbox"
_RE_ENTRY = 0x5C_02
"""Whoever holds this lock keeps everybody from deciding what is set aside."""
_EVENTS_OF = partition_for(f"aa:{PROJECT}", OPPORTUNITIES_EVENTS.partitions)


@dataclass
class Rig:
    """Attendance on topics of a test's own."""

    broker: Broker
    service: Service
    settings: EverySettings
    commands: str
    events: str

    async def command(self, *messages: Message) -> None:
        """Publish in order what the bridge says."""
        await self._say(self.commands, messages)

    async def tell(self, *messages: Message) -> None:
        """Publish in order what opportunities says."""
        await self._say(self.events, messages)

    async def _say(self, topic: str, messages: Sequence[Message]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.broker.address, acks="all") as producer:
            for event in map(event_of, messages):
                value, headers = encode(event)
                await producer.send(topic, value=value, key=event.key.encode(), headers=headers)

    async def is_as_before(self, restored: str, old: Any) -> None:
        """The service on a restored database comes to the facts of the old one and says nothing else."""
        facts, signups = await old.fetch(_FACTS), await old.fetch(_SIGNUPS)
        assert {row["held_for"] for row in facts} == {None}
        await old.close()
        async with living(self.service, self.settings.model_copy(update={"database": SecretStr(restored)})):
            new = await asyncpg.connect(restored)
            assert await new.fetch(_FACTS) == facts
            assert await new.fetch(_SIGNUPS) == signups
            assert await new.fetchval("SELECT count(*) FROM set_aside") == 0
            await new.close()
        assert twice(await said_on(self.broker, ATTENDANCE_EVENTS.name)) == []


async def new_rig(broker: Broker, dsn: str, unique: Callable[[str], str], **changes: Any) -> Rig:
    commands, events = unique(ATTENDANCE_COMMANDS.name), unique(OPPORTUNITIES_EVENTS.name)
    settings = settings_of(broker, dsn, **changes)
    names = {ATTENDANCE_COMMANDS.name: commands, OPPORTUNITIES_EVENTS.name: events}
    service = under_names(build(settings), names, unique("attendance"))
    entries = [entry for stream in service.streams for entry in stream.topics]
    await ensure_topics(broker.address, [*entries, ATTENDANCE_EVENTS])
    await migrate(dsn, service.migrations)
    return Rig(broker, service, settings, commands, events)


async def new_lives(broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]) -> tuple[Rig, str, Any]:
    """Attendance, a dump from before anything was said, and a connection to the database that goes on."""
    first = await new_database()
    rig = await new_rig(broker, first, unique)
    return rig, await new_database(name_of(first)), await asyncpg.connect(first)


@pytest.mark.parametrize("process", ["the same", "the next"])
async def test_a_record_that_was_confirmed_before_its_sign_up_ended_is_confirmed_again(
    process: str, broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    """``process``: which one speaks after the sign-up has ended."""
    if not broker.real_kafka:
        pytest.skip("on the embedded broker two lanes may take minutes to leave their group")
    first = await new_database()
    rig = await new_rig(broker, first, unique, lanes=2)
    db = await asyncpg.connect(first)
    async with living(rig.service, rig.settings) as runtime:
        people = await _of_the_other_lane(runtime, rig)
        for person in people:
            await rig.tell(signup("s1", person=person))
            await rig.command(check_in("s1", at("09:00"), person=person))
        await eventually(lambda: db.fetchval(_APPLIED, 2 * len(people)))
        await eventually(lambda: db.fetchval(_SAID))
    await db.close()
    restored = await new_database(name_of(first))
    old = await asyncpg.connect(first)
    async with living(rig.service, rig.settings) as runtime:
        await _confirmed_before_it_ends(rig, runtime, old, people)
        if process == "the same":
            await _speak(rig, old, people[-1])
    if process == "the next":
        async with living(rig.service, rig.settings):
            await _speak(rig, old, people[-1])
    await rig.is_as_before(restored, old)


async def test_a_check_in_that_her_sign_up_released_comes_before_the_record_that_was_confirmed_by_it(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    """Of the three only the record says something, and all of it happens at once, again and again."""
    rig, restored, old = await new_lives(broker, new_database, unique)
    people = [uuid4() for _ in range(8)]
    async with living(rig.service, rig.settings):
        await rig.command(*_served(people))
        await eventually(lambda: old.fetchval("SELECT count(*) = 16 FROM set_aside"))
        for count, person in enumerate(people, 1):
            await rig.tell(signup("s1", person=person))
            await eventually(lambda: old.fetchval("SELECT count(*) = $1 FROM service_record", count))  # noqa: B023
        await eventually(lambda: old.fetchval(_SAID))
    await rig.is_as_before(restored, old)


async def test_a_check_in_that_her_sign_up_released_comes_before_her_record_though_others_spoke_between(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    """Others' records lie behind hers and were confirmed earlier, so in a replay hers comes as early as they do."""
    rig, restored, old = await new_lives(broker, new_database, unique)
    people = [uuid4() for _ in range(8)]
    others = [_beside(person) for person in people]
    async with living(rig.service, rig.settings):
        await rig.command(*_served(people))
        await rig.tell(*[signup("s1", person=person) for person in others])
        await rig.command(*[check_in("s1", at("09:00"), person=person) for person in others])
        await eventually(lambda: old.fetchval("SELECT count(*) = 16 FROM set_aside"))
        await eventually(lambda: old.fetchval("SELECT count(*) = 8 FROM presence"))
        await old.execute("SELECT pg_advisory_lock($1)", _RE_ENTRY)
        for count, (person, other) in enumerate(zip(people, others, strict=True), 1):
            await rig.tell(signup("s1", person=person))
            await rig.command(_record(other))
            await eventually(lambda: old.fetchval("SELECT count(*) = $1 FROM service_record", count))  # noqa: B023
        await old.execute("SELECT pg_advisory_unlock($1)", _RE_ENTRY)
        await eventually(lambda: old.fetchval("SELECT count(*) = 16 FROM service_record"))
        await eventually(lambda: old.fetchval(_SAID))
    await rig.is_as_before(restored, old)


async def test_a_check_in_that_stood_ready_in_the_dump_comes_before_the_record_that_was_confirmed_by_it(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    """Her sign-up had released it, and nobody had decided it yet."""
    first = await new_database()
    rig = await new_rig(broker, first, unique)
    db = await asyncpg.connect(first)
    async with living(rig.service, rig.settings):
        await rig.command(check_in("s1", at("09:00")))
        await eventually(lambda: db.fetchval("SELECT count(*) = 1 FROM set_aside"))
        await db.execute("SELECT pg_advisory_lock($1)", _RE_ENTRY)
        await rig.tell(signup("s1"))
        await eventually(lambda: db.fetchval("SELECT reason = 'ready' FROM set_aside"))
    await db.close()
    restored = await new_database(name_of(first))
    old = await asyncpg.connect(first)
    async with living(rig.service, rig.settings):
        await eventually(lambda: old.fetchval("SELECT count(*) = 0 FROM set_aside"))
        await rig.command(_record(XIA))
        await eventually(lambda: old.fetchval("SELECT count(*) = 1 FROM service_record"))
        await eventually(lambda: old.fetchval(_SAID))
    await rig.is_as_before(restored, old)


async def _confirmed_before_it_ends(rig: Rig, runtime: Runtime, db: Any, people: list[UUID]) -> None:
    """The ends are written first, but their partition stands still."""
    mine = people[:-1]
    before = await db.fetchval("SELECT count(*) FROM inbox")
    await eventually(lambda: all(lane.consumer.assignment() for lane in runtime.lanes))
    other = await asyncpg.connect(runtime.settings.database.get_secret_value())
    async with other.transaction():
        held = "SELECT FROM consumed WHERE topic = $1 AND partition = $2 FOR UPDATE"
        await other.execute(held, rig.events, _EVENTS_OF)
        for person in mine:
            await rig.tell(signup("s1", opportunities.SignupWithdrawn, person=person))
        for person in mine:
            await rig.command(_record(person))
        await eventually(lambda: db.fetchval(_APPLIED, before + len(mine)))
    await other.close()
    await eventually(lambda: db.fetchval(_APPLIED, before + 2 * len(mine)))
    await eventually(lambda: db.fetchval(_SAID))


async def _speak(rig: Rig, db: Any, person: UUID) -> None:
    """One more record is confirmed, which attendance says."""
    before = await db.fetchval("SELECT count(*) FROM inbox")
    await rig.command(_record(person))
    await eventually(lambda: db.fetchval(_APPLIED, before + 1))
    await eventually(lambda: db.fetchval(_SAID))


def _served(people: Sequence[UUID]) -> list[Message]:
    """Each of them came, and served."""
    return [said for person in people for said in (check_in("s1", at("09:00"), person=person), _record(person))]


def _beside(person: UUID) -> UUID:
    """Somebody whose commands lie on the same partition."""
    count = ATTENDANCE_COMMANDS.partitions
    drawn = (uuid4() for _ in range(1000))
    return next(one for one in drawn if partition_for(str(one), count) == partition_for(str(person), count))


def _record(person: UUID) -> Message:
    return attest(f"r-{person}", "s1", at("09:00"), at("10:00"), person=person)


async def _of_the_other_lane(runtime: Runtime, rig: Rig) -> list[UUID]:
    """People whose records are decided by the lane that does not read of their sign-ups."""

    def both() -> bool:
        return len(runtime.lanes) == 2 and all(lane.consumer.assignment() for lane in runtime.lanes)

    await eventually(both, what="each lane has partitions")
    theirs = [
        {tp.partition for tp in lane.consumer.assignment() if tp.topic == rig.commands}
        for lane in runtime.lanes
        if (rig.events, _EVENTS_OF) not in {(tp.topic, tp.partition) for tp in lane.consumer.assignment()}
    ]
    wanted = set().union(*theirs)
    drawn = (uuid4() for _ in range(1000))
    return [one for one in drawn if partition_for(str(one), ATTENDANCE_COMMANDS.partitions) in wanted][:4]
