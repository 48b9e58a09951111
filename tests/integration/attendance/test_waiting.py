"""A service record races its sign-up: whoever comes first, none is left waiting for what is already here."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TypeAlias
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.messages import Message
from contracts.topics import ATTENDANCE_COMMANDS, ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.batch.processing import Effects
from services.chassis.process.runtime import Runtime
from tests.support.attendance import LIN, XIA, at, attest, check_in, event_of, signup, told
from tests.support.attendance_store import AttendanceOnPostgres
from tests.support.waiting import eventually

RACES = 1000
Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def late(seconds: float, instance: AttendanceOnPostgres, *messages: Message) -> Effects:
    """Apply a batch at once, or so many seconds later."""
    await asyncio.sleep(max(seconds, 0))
    return await instance.apply(messages)


async def test_of_1000_races_between_a_record_and_its_sign_up_none_is_orphaned(
    attendance: AttendanceOnPostgres, db: Db
) -> None:
    draw = random.Random(1)
    async with AsyncExitStack() as stack:
        second = await attendance.another(stack, 2)
        waited = 0
        for number in range(RACES):
            person = uuid4()
            commands = (
                check_in("s1", at("08:00"), person=person),
                attest(f"r{number}", "s1", at("09:00"), at("10:00"), person=person),
            )
            fact = signup("s1", person=person)
            lead = draw.uniform(-0.004, 0.004)
            effects, _ = await asyncio.gather(late(lead, attendance, *commands), late(-lead, second, fact))
            waited += bool(effects.asides)
        # Both orders were met, or the race proves nothing.
        assert RACES // 20 < waited < RACES - RACES // 20
        assert await db.fetchval("SELECT count(*) FROM set_aside WHERE reason = 'waiting'") == 0
        while await attendance.member.reenter():
            pass
        assert await db.fetchval("SELECT count(*) FROM service_record WHERE counted_version = 1") == RACES
        assert await db.fetchval("SELECT count(*) FROM set_aside") == 0
        assert await db.fetchval("SELECT count(*) FROM entity WHERE parked") == 0


async def test_two_persons_records_at_the_same_moment_over_two_lanes_keep_the_cap(
    attendance: AttendanceOnPostgres, db: Db
) -> None:
    evidence = [
        message
        for person in (XIA, LIN)
        for shift in ("s1", "s2")
        for message in (signup(shift, person=person), check_in(shift, at("06:00"), person=person))
    ]
    await attendance.apply(evidence)
    # Each batch has the persons in another order: without ordered locks this is a deadlock.
    spans = {"s1": (at("08:00"), at("13:00")), "s2": (at("14:00"), at("19:00"))}
    batches = [
        [attest(f"{shift}-{person}", shift, *spans[shift], person=person) for person in order]
        for shift, order in (("s1", (XIA, LIN)), ("s2", (LIN, XIA)))
    ]
    async with AsyncExitStack() as stack:
        lanes = (attendance, await attendance.another(stack, 2))
        await asyncio.gather(*(lane.apply(batch) for lane, batch in zip(lanes, batches, strict=True)))
    said = [text.split()[0] for text in told(await attendance.said())]
    assert sorted(said) == ["confirmed", "confirmed", "held", "held"]
    assert [row[0] for row in await db.fetch("SELECT minutes FROM person_day")] == [300, 300]


@contextlib.asynccontextmanager
async def running(attendance: AttendanceOnPostgres, broker: Broker) -> AsyncIterator[asyncio.Task[None]]:
    """The service as it runs, in this process, with two lanes."""
    profile = "test" if broker.idempotent else "embedded"
    database = SecretStr(attendance.dsn)
    changes = {"kafka": broker.address, "http_port": 0, "lanes": 2, "profile": profile, "database": database}
    runtime = Runtime(attendance.member.service, attendance.member.settings.model_copy(update=changes))
    task = asyncio.create_task(runtime.run())
    try:
        yield task
    finally:
        runtime.stopping.set()
        await task


async def test_records_check_ins_and_sign_ups_from_two_topics_end_confirmed_whatever_comes_first(
    attendance: AttendanceOnPostgres, db: Db, broker: Broker
) -> None:
    await ensure_topics(broker.address, [ATTENDANCE_COMMANDS, OPPORTUNITIES_EVENTS, ATTENDANCE_EVENTS])
    draw = random.Random(2)
    persons = [uuid4() for _ in range(300)]
    run = uuid4().hex[:8]
    commands, facts = [], []
    for person in persons:
        commands.append(check_in("s1", at("08:00"), person=person))
        for version, end in ((1, "10:00"), (2, "11:00")):
            ref = f"{run}-{person}"
            commands.append(attest(ref, "s1", at("09:00"), at(end), version=version, person=person))
        facts.append(signup("s1", person=person))
    draw.shuffle(facts)
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    try:
        async with running(attendance, broker) as service:
            for messages in (commands[:450], facts, commands[450:]):
                for message in messages:
                    record = attendance.record(event_of(message))
                    await producer.send(record.topic, key=record.key, value=record.value, headers=list(record.headers))
            await producer.flush()
            confirmed = await eventually(lambda: _all_of(db, f"{run}-%", len(persons), service))
            assert confirmed == len(persons)
            # The topics are the service's own: what other tests have said there comes too, and may wait for ever.
            mine = "SELECT count(*) = 0 FROM set_aside WHERE key = ANY($1)"
            await eventually(lambda: db.fetchval(mine, [str(person).encode() for person in persons]))
            await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))
    finally:
        await producer.stop()
    behind_nothing = """SELECT count(*) FROM entity WHERE parked
        AND NOT EXISTS (SELECT FROM set_aside WHERE subject = entity.name)"""
    assert await db.fetchval(behind_nothing) == 0


async def _all_of(db: Db, like: str, wanted: int, service: asyncio.Task[None]) -> int | None:
    if service.done():
        service.result()
    found: int = await db.fetchval(
        "SELECT count(*) FROM service_record WHERE record_ref LIKE $1 AND counted_version = 2", like
    )
    return found if found == wanted else None
