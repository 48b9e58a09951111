"""Attendance says nothing of a sign-up that ends. Restored, it takes that in when it did, not when it was written."""

from __future__ import annotations

from collections.abc import Callable
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
from deploy.local.broker import Broker
from deploy.local.topics import ensure_topics
from services.attendance.service import build
from services.chassis.migrations import migrate
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from tests.conftest import NewDatabase
from tests.support.attendance import PROJECT, at, attest, check_in, event_of, signup
from tests.support.naming import SECRET
from tests.support.own_topics import under_names
from tests.support.restoring import living, name_of, said_on, twice
from tests.support.waiting import eventually

_FACTS = "SELECT host, record_ref, person, version, held_for FROM service_record ORDER BY host, record_ref"
_SIGNUPS = "SELECT id, state FROM signup ORDER BY id"
_APPLIED = "SELECT count(*) = $1 FROM inbox"
_EVENTS_OF = partition_for(f"aa:{PROJECT}", OPPORTUNITIES_EVENTS.partitions)


@pytest.mark.parametrize("process", ["the same", "the next"])
async def test_a_record_that_was_confirmed_before_its_sign_up_ended_is_confirmed_again(
    process: str, broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    """``process``: which one speaks after the sign-up has ended."""
    if not broker.real_kafka:
        pytest.skip("on the embedded broker two lanes may take minutes to leave their group")
    commands, events = unique(ATTENDANCE_COMMANDS.name), unique(OPPORTUNITIES_EVENTS.name)
    first = await new_database()
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(first),
        http_port=0,
        lanes=2,
        naming_secret=SECRET,
    )
    names = {ATTENDANCE_COMMANDS.name: commands, OPPORTUNITIES_EVENTS.name: events}
    service = under_names(build(settings), names, unique("attendance"))
    await ensure_topics(
        broker.address, [entry for stream in service.streams for entry in stream.topics] + [ATTENDANCE_EVENTS]
    )
    await migrate(first, service.migrations)
    db = await asyncpg.connect(first)
    async with living(service, settings) as runtime:
        people = await _of_the_other_lane(runtime, commands, events)
        for person in people:
            await _say(broker, events, signup("s1", person=person))
            await _say(broker, commands, check_in("s1", at("09:00"), person=person))
        await eventually(lambda: db.fetchval(_APPLIED, 2 * len(people)))
        await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))
    await db.close()
    restored = await new_database(name_of(first))
    old = await asyncpg.connect(first)
    async with living(service, settings) as runtime:
        await _confirmed_before_it_ends(broker, runtime, old, people, (commands, events))
        if process == "the same":
            await _speak(broker, old, commands, people[-1])
    if process == "the next":
        async with living(service, settings):
            await _speak(broker, old, commands, people[-1])
    facts, signups = await old.fetch(_FACTS), await old.fetch(_SIGNUPS)
    assert {row["held_for"] for row in facts} == {None}
    await old.close()
    async with living(service, settings.model_copy(update={"database": SecretStr(restored)})):
        new = await asyncpg.connect(restored)
        assert await new.fetch(_FACTS) == facts
        assert await new.fetch(_SIGNUPS) == signups
        assert await new.fetchval("SELECT count(*) FROM set_aside") == 0
        await new.close()
    assert twice(await said_on(broker, ATTENDANCE_EVENTS.name)) == []


async def _confirmed_before_it_ends(
    broker: Broker, runtime: Runtime, db: Any, people: list[UUID], topics: tuple[str, str]
) -> None:
    """The ends are written first, but their partition stands still."""
    commands, events = topics
    mine = people[:-1]
    before = await db.fetchval("SELECT count(*) FROM inbox")
    await eventually(lambda: all(lane.consumer.assignment() for lane in runtime.lanes))
    other = await asyncpg.connect(runtime.settings.database.get_secret_value())
    async with other.transaction():
        held = "SELECT FROM consumed WHERE topic = $1 AND partition = $2 FOR UPDATE"
        await other.execute(held, events, _EVENTS_OF)
        for person in mine:
            await _say(broker, events, signup("s1", opportunities.SignupWithdrawn, person=person))
        for person in mine:
            await _say(broker, commands, _record(person))
        await eventually(lambda: db.fetchval(_APPLIED, before + len(mine)))
    await other.close()
    await eventually(lambda: db.fetchval(_APPLIED, before + 2 * len(mine)))
    await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))


async def _speak(broker: Broker, db: Any, commands: str, person: UUID) -> None:
    """One more record is confirmed, which attendance says."""
    before = await db.fetchval("SELECT count(*) FROM inbox")
    await _say(broker, commands, _record(person))
    await eventually(lambda: db.fetchval(_APPLIED, before + 1))
    await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))


def _record(person: UUID) -> Message:
    return attest(f"r-{person}", "s1", at("09:00"), at("10:00"), person=person)


async def _of_the_other_lane(runtime: Runtime, commands: str, events: str) -> list[UUID]:
    """People whose records are decided by the lane that does not read of their sign-ups."""

    def both() -> bool:
        return len(runtime.lanes) == 2 and all(lane.consumer.assignment() for lane in runtime.lanes)

    await eventually(both, what="each lane has partitions")
    theirs = [
        {tp.partition for tp in lane.consumer.assignment() if tp.topic == commands}
        for lane in runtime.lanes
        if (events, _EVENTS_OF) not in {(tp.topic, tp.partition) for tp in lane.consumer.assignment()}
    ]
    wanted = set().union(*theirs)
    drawn = (uuid4() for _ in range(1000))
    return [one for one in drawn if partition_for(str(one), ATTENDANCE_COMMANDS.partitions) in wanted][:4]


async def _say(broker: Broker, topic: str, message: Message) -> None:
    event = event_of(message)
    value, headers = encode(event)
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
        await producer.send_and_wait(topic, value=value, key=event.key.encode(), headers=headers)
