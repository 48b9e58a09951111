"""A race between two partitions ends as it did before, whatever order the log has them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import encode
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.migrations import migrate
from services.chassis.base.settings import Settings
from services.chassis.process.runtime import Runtime
from services.chassis.service import Service
from services.opportunities.service import build
from tests.conftest import NewDatabase
from tests.support.opportunities import event, project, request, shift
from tests.support.own_topics import under_names
from tests.support.restoring import living, name_of, said_on, settings_of, twice
from tests.support.waiting import eventually

_FACTS = "SELECT person, host, project_ref, shift_ref, state FROM signup ORDER BY person, project_ref, shift_ref"
_OUTCOMES = """SELECT signup_id, outcome, reason, count(*) FROM signup_outcome
GROUP BY signup_id, outcome, reason ORDER BY signup_id, outcome, reason"""
_APPLIED = "SELECT count(*) = $1 FROM inbox"


@dataclass
class Rig:
    """Opportunities on a commands topic of a test's own."""

    broker: Broker
    service: Service
    settings: Settings
    topic: str

    async def say(self, *commands: Message) -> None:
        """Publish in order."""
        async with AIOKafkaProducer(bootstrap_servers=self.broker.address, acks="all") as producer:
            for command in commands:
                said = event(command)
                value, headers = encode(said)
                await producer.send_and_wait(self.topic, value=value, key=said.key.encode(), headers=headers)


async def new_rig(broker: Broker, dsn: str, unique: Callable[[str], str], **changes: Any) -> Rig:
    topic = unique(OPPORTUNITIES_COMMANDS.name)
    settings = settings_of(broker, dsn, **changes)
    service = under_names(build(settings), {OPPORTUNITIES_COMMANDS.name: topic}, unique("opportunities"))
    entries = [entry for stream in service.streams for entry in stream.topics]
    await ensure_topics(broker.address, [*entries, OPPORTUNITIES_EVENTS])
    await migrate(dsn, service.migrations)
    return Rig(broker, service, settings, topic)


async def apart(runtime: Runtime) -> tuple[str, str]:
    """A project for each of the two lanes."""

    def both() -> bool:
        return len(runtime.lanes) == 2 and all(lane.consumer.assignment() for lane in runtime.lanes)

    await eventually(both, what="each lane has partitions")
    found: list[str] = []
    for lane in runtime.lanes:
        mine = {tp.partition for tp in lane.consumer.assignment()}
        found.append(next(p for n in range(1000) if partition_for(f"gz:{(p := f'p{n}')}", 8) in mine))
    return found[0], found[1]


async def standing(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rows]


async def test_who_won_a_race_of_two_partitions_wins_it_again_though_the_log_has_the_loser_first(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    first = await new_database()
    rig = await new_rig(broker, first, unique, lanes=2)
    db = await asyncpg.connect(first)
    people = [uuid4() for _ in range(6)]
    async with living(rig.service, rig.settings) as runtime:
        held, free = await apart(runtime)
        await rig.say(project(held), project(free), shift(of=held, posts=4, waitlist=9), shift(of=free, posts=9))
        await eventually(lambda: db.fetchval(_APPLIED, 4))
    await db.close()
    restored = await new_database(name_of(first))
    old = await asyncpg.connect(first)
    async with living(rig.service, rig.settings) as runtime:
        await _race(rig, runtime, old, people)
    facts, outcomes = await old.fetch(_FACTS), await old.fetch(_OUTCOMES)
    await old.close()
    async with living(rig.service, rig.settings.model_copy(update={"database": SecretStr(restored)})):
        new = await asyncpg.connect(restored)
        assert await new.fetch(_FACTS) == facts
        assert await new.fetch(_OUTCOMES) == outcomes
        assert await new.fetchval("SELECT count(*) FROM set_aside") == 0
        await eventually(lambda: new.fetchval("SELECT count(*) = 0 FROM outbox"))
        await new.close()
    assert twice(await said_on(broker, OPPORTUNITIES_EVENTS.name)) == []


async def _race(rig: Rig, runtime: Runtime, db: asyncpg.Connection[asyncpg.Record], people: list[UUID]) -> None:
    """All ask for both shifts, first where nothing moves at present."""
    held, free = await apart(runtime)
    other = await asyncpg.connect(rig.settings.database.get_secret_value())
    async with other.transaction():
        place = partition_for(f"gz:{held}", 8)
        await other.execute("SELECT FROM consumed WHERE topic = $1 AND partition = $2 FOR UPDATE", rig.topic, place)
        await rig.say(*(request(person, of=held) for person in people))
        await rig.say(*(request(person, of=free) for person in people[:3]))
        await eventually(lambda: db.fetchval(_APPLIED, 4 + 3))
    await other.close()
    await eventually(lambda: db.fetchval(_APPLIED, 4 + 9))
    won = await db.fetchval("SELECT count(*) FROM signup WHERE project_ref = $1 AND state = 'confirmed'", free)
    assert won == 3, "who asked there came first"


async def test_who_waited_for_a_shift_that_lay_right_behind_gets_the_post_again(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    """The shift says nothing of when it was decided, and lies behind a request that says that it was decided later."""
    first = await new_database()
    rig = await new_rig(broker, first, unique)
    restored = await new_database(name_of(first))
    old = await asyncpg.connect(first)
    async with living(rig.service, rig.settings):
        await rig.say(*(request(uuid4()) for _ in range(4)))
        await eventually(lambda: old.fetchval("SELECT count(*) = 4 FROM set_aside WHERE reason = 'waiting'"))
        await rig.say(project(), shift(posts=9))
        await eventually(lambda: old.fetchval("SELECT count(*) = 4 FROM signup WHERE state = 'confirmed'"))
        await eventually(lambda: old.fetchval("SELECT count(*) = 0 FROM outbox"))
    facts, outcomes = await old.fetch(_FACTS), await old.fetch(_OUTCOMES)
    await old.close()
    async with living(rig.service, rig.settings.model_copy(update={"database": SecretStr(restored)}), ready=False):
        new = await asyncpg.connect(restored)
        await eventually(lambda: new.fetchval("SELECT count(*) = 6 FROM inbox"))
        await eventually(lambda: new.fetchval("SELECT count(*) = 0 FROM restored"))
        assert await new.fetch(_FACTS) == facts
        assert await new.fetch(_OUTCOMES) == outcomes
        assert await new.fetchval("SELECT count(*) FROM set_aside") == 0
        await new.close()
    assert twice(await said_on(broker, OPPORTUNITIES_EVENTS.name)) == []


async def test_a_timer_that_fired_after_the_dump_fires_no_second_time_and_others_stand(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    first = await new_database()
    rig = await new_rig(broker, first, unique)
    one, other = uuid4(), uuid4()
    async with living(rig.service, rig.settings):
        db = await asyncpg.connect(first)
        await rig.say(project(), shift(posts=1, waitlist=9), shift("s2", posts=1, waitlist=9), request(one))
        await rig.say(request(other))  # stands in line, so a timer is set
        await eventually(lambda: db.fetchval(_APPLIED, 5))
        await db.close()
    restored = await new_database(name_of(first))
    old = await asyncpg.connect(first)
    async with living(rig.service, rig.settings):
        await old.execute("UPDATE timer SET due = now(), topic = $1", rig.topic)
        await eventually(lambda: old.fetchval("SELECT state = 'withdrawn' FROM signup WHERE person = $1", other))
        await rig.say(request(one := uuid4(), "s2"), request(uuid4(), "s2"))
        await eventually(lambda: old.fetchval("SELECT count(*) = 1 FROM timer"))
        await eventually(lambda: old.fetchval("SELECT count(*) = 0 FROM outbox"))
    facts, timers = await old.fetch(_FACTS), await old.fetch("SELECT name, value FROM timer")
    await old.close()
    async with living(rig.service, rig.settings.model_copy(update={"database": SecretStr(restored)})):
        new = await asyncpg.connect(restored)
        assert await new.fetch(_FACTS) == facts
        assert await new.fetch("SELECT name, value FROM timer") == timers
        await new.close()
    assert twice(await said_on(broker, OPPORTUNITIES_EVENTS.name)) == []
    assert twice(await said_on(broker, rig.topic)) == []
