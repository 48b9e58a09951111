"""A wait ends when its deadline has passed and all that was said until then is applied, not by the clock alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from contracts.envelope import Event
from contracts.partitioner import partition_for
from services.chassis.aside.reentry import Reentry
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, open_pool
from services.chassis.base.persistent import cancel_all
from services.chassis.batch import set_aside
from services.chassis.batch.processing import Processor
from services.chassis.batch.set_aside import Aside
from services.chassis.log.records import Record
from tests.support.rig import Rig
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually

_OVER = "SELECT bool_and(deadline + interval '1 second' < now()) FROM set_aside WHERE reason = 'waiting'"


async def test_what_waits_is_applied_though_its_time_ended_while_the_service_was_down(rig: Rig) -> None:
    """Found in review: after a downtime longer than the rest of the wait it was refused as the service started, while
    its fact lay unread in the log.
    """
    async with rig.running(await_facts=1):
        await rig.send(credit("wait-x-1", 3))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside"))
    await rig.send(credit("fact-x", 1))
    await eventually(lambda: rig.db.fetchval(_OVER))
    async with rig.running(await_facts=1):
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 3 FROM total WHERE ref = 'wait-x-1'"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    assert rig.tally.refused == 0


@asynccontextmanager
async def _held_up(rig: Rig) -> AsyncIterator[None]:
    """Nothing can be consumed: somebody holds the rows of the stored offsets."""
    other = await asyncpg.connect(rig.settings.database.get_secret_value())
    try:
        async with other.transaction():
            assert await other.fetch("SELECT * FROM consumed FOR UPDATE")
            yield
    finally:
        await other.close()


async def test_what_waits_is_applied_though_the_service_came_to_its_fact_late(rig: Rig) -> None:
    async with rig.running(await_facts=1):
        await rig.send(credit("wait-x-1", 3), credit("wait-y-1", 3))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside"))
        async with _held_up(rig):
            await rig.send(credit("fact-x", 1))
            await eventually(lambda: rig.db.fetchval(_OVER))
            assert await rig.aside() == {"waiting": 2}
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 3 FROM total WHERE ref = 'wait-x-1'"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    assert rig.tally.refused == 1


async def test_another_instance_may_be_the_one_that_applies_what_was_said(rig: Rig) -> None:
    """Each of two looks at the positions of both: they stand in the same table."""
    async with rig.running(await_facts=1), rig.running(await_facts=1):
        await rig.send(*[credit(f"wait-z{n}-1", 1) for n in range(20)], *[credit(f"v{n}", 1) for n in range(40)])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 40 FROM total"))
        await eventually(lambda: rig.tally.refused == 20)
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))


@pytest.mark.real_kafka
async def test_marks_that_transactions_leave_at_the_end_of_a_log_keep_no_refusal_back(rig: Rig) -> None:
    """Nobody consumes them, so the stored offset never reaches the end of such a log."""
    producer = AIOKafkaProducer(bootstrap_servers=rig.settings.kafka, transactional_id=f"{rig.tally.group}-stranger")
    async with rig.running(await_facts=1):
        async with producer:
            for ending in ("aborted", "committed"):
                await producer.begin_transaction()
                for number in range(rig.tally.inlet.partitions):
                    ref = next(ref for n in count() if _partition(rig, ref := f"{ending}-{n}") == number)
                    key, value, headers = as_record(credit(ref, 1))
                    await producer.send(rig.tally.inlet.name, key=key, value=value, headers=headers, partition=number)
                await (producer.abort_transaction() if ending == "aborted" else producer.commit_transaction())
        await rig.send(credit("wait-x-1", 3))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 4 FROM total"))
        await eventually(lambda: rig.tally.refused == 1)
    assert await rig.db.fetchval("SELECT count(*) FROM total WHERE ref LIKE 'aborted%'") == 0


async def test_a_message_that_is_ready_is_decided_before_one_whose_time_is_up(rig: Rig) -> None:
    """It may bring the fact, and it was heard in time: both stood in the log, one waited for something of its own."""
    clock = Clock()
    pool = await open_pool(rig.settings.database.get_secret_value(), size=2, application="test")
    processor = Processor(rig.tally.service(), rig.settings, clock)
    reentry = Reentry(processor, pool, asyncio.Event(), lambda *_: clock.now())
    long_ago = clock.now() - timedelta(hours=1)

    over = replace(
        _ready(rig, credit("wait-x-1", 3), long_ago),
        reason="waiting",
        fact="fact:fact-x",
        deadline=long_ago,
        brought_by=rig.tally.inlet.name,
    )
    try:
        async with rig.db.transaction():
            await Batch(rig.db).lock(["volunteer:wait-x-1", "volunteer:fact-x"])
            await set_aside.insert(rig.db, [over, _ready(rig, credit("fact-x", 1), long_ago)])
            await set_aside.park(rig.db, ["volunteer:wait-x-1", "volunteer:fact-x"])
        while await asyncio.wait_for(reentry.once(), 10):
            pass
    finally:
        await pool.close()
    assert await rig.total("wait-x-1") == 3
    assert rig.tally.refused == 0
    assert await rig.aside() == {}


async def test_while_not_everything_is_heard_it_is_asked_less_and_less_often(rig: Rig) -> None:
    """A service far behind, or without its broker, has better things to do."""
    clock = Clock()
    long_ago = clock.now() - timedelta(hours=1)
    over = replace(
        _ready(rig, credit("wait-x-1", 3), long_ago),
        reason="waiting",
        fact="fact:fact-x",
        deadline=long_ago,
        brought_by=rig.tally.inlet.name,
    )
    asked: list[float] = []

    def not_yet(*_: object) -> None:
        asked.append(asyncio.get_running_loop().time())

    async with rig.db.transaction():
        await Batch(rig.db).lock(["volunteer:wait-x-1", "fact:fact-x"])
        await set_aside.insert(rig.db, [over])
    pool = await open_pool(rig.settings.database.get_secret_value(), size=2, application="test")
    looking = asyncio.create_task(
        Reentry(Processor(rig.tally.service(), rig.settings, clock), pool, asyncio.Event(), not_yet).run()
    )
    try:
        await eventually(lambda: len(asked) > 5)
    finally:
        await cancel_all([looking])
        await pool.close()
    assert asked[5] - asked[0] > 0.6
    assert await rig.aside() == {"waiting": 1}


def _partition(rig: Rig, key: str) -> int:
    return partition_for(key, rig.tally.inlet.partitions)


def _ready(rig: Rig, event: Event, received: datetime) -> Aside:
    key, value, headers = as_record(event)
    record = Record(rig.tally.inlet.name, _partition(rig, event.key), 0, 1, key, headers, value)
    return Aside(record, "ready", received, f"volunteer:{event.key}")
