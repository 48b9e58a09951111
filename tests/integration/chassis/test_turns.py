"""The way back in: each city has its own turn, and messages that wait for one city hide none of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from contracts.partitioner import partition_for
from deploy.tryout.local.broker import Broker
from services.chassis import channels
from services.chassis.aside.reentry import Reentry
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, open_pool
from services.chassis.batch import set_aside
from services.chassis.batch.processing import Processor
from services.chassis.batch.set_aside import Aside
from services.chassis.decisions import Channel
from services.chassis.log.records import Record
from tests.support.tally import as_record, credit
from tests.support.two_cities import Cities, two_cities
from tests.support.waiting import eventually


@pytest.fixture
async def cities(broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Cities]:
    async with two_cities(broker, database, unique("t"), tmp_path) as made:
        yield made


@asynccontextmanager
async def reentering(cities: Cities, heard: Callable[[str, datetime], datetime | None]) -> AsyncIterator[Reentry]:
    pool = await open_pool(cities.settings.database.get_secret_value(), size=2, application="test")
    try:
        yield Reentry(Processor(cities.tally.service(), cities.settings, Clock()), pool, asyncio.Event(), heard)
    finally:
        await pool.close()


def aside(topic: str, ref: str, *, by: str | None = None, age: timedelta = timedelta(hours=1)) -> Aside:
    """Ready, or with channels ``by`` waiting, its time up so long ago."""
    key, value, headers = as_record(credit(ref, 1))
    then = Clock().now() - age
    partition = partition_for(ref, 4)
    made = Aside(Record(topic, partition, 0, 1, key, headers, value), "ready", then, f"volunteer:{ref}")
    fact = f"fact:fact-{ref.split('-')[1]}"
    return made if by is None else replace(made, reason="waiting", fact=fact, deadline=then, brought_by=by)


async def stand_aside(cities: Cities, *rows: Aside) -> None:
    async with cities.db.transaction():
        subjects = [row.subject for row in rows if row.subject is not None]
        await Batch(cities.db).lock(subjects)
        await set_aside.insert(cities.db, rows)
        await set_aside.park(cities.db, subjects)


async def test_what_was_not_heard_yet_keeps_back_nothing_whose_time_was_up_later(cities: Cities) -> None:
    inlet, other = cities.tally.inlet.name, cities.tally.other.name
    both = channels.named([Channel(cities.tally.other), Channel(cities.tally.inlet)])
    assert both == f"{inlet},{other}"
    await stand_aside(
        cities,
        aside(inlet, "wait-both-1", by=both, age=timedelta(hours=2)),
        aside(inlet, "wait-own-1", by=inlet),
        aside(other, "wait-both-2", by=both, age=timedelta(hours=3)),
        aside(other, "wait-own-2", by=other),
    )
    async with reentering(cities, lambda by, _: None if by == both else Clock().now()) as reentry:
        assert await reentry.once() == 2
        assert await reentry.once() == 0
    assert await cities.aside() == {"waiting": 2}
    assert cities.tally.refused == 2


async def test_a_wait_comes_after_what_is_ready_on_its_own_channels_and_on_no_others(cities: Cities) -> None:
    """What is ready there may bring the fact. What is ready elsewhere may be a crowd."""
    inlet, other = cities.tally.inlet.name, cities.tally.other.name
    rows = [aside(inlet, "v-1"), aside(inlet, "wait-own-1", by=inlet), aside(other, "wait-own-2", by=other)]
    await stand_aside(cities, *rows)
    async with reentering(cities, lambda *_: Clock().now()) as reentry:
        assert await reentry.once() == 2
        assert cities.tally.refused == 1
        assert await reentry.once() == 1
    assert cities.tally.refused == 2


async def test_what_cannot_be_decided_in_one_city_keeps_another_citys_messages_waiting_no_longer(
    cities: Cities,
) -> None:
    """Somebody holds the lock of the first one's subject for longer than anybody waits for a lock."""
    inlet, other = cities.tally.inlet.name, cities.tally.other.name
    await stand_aside(cities, aside(inlet, "v-locked"), aside(other, "v-free"))
    holder = await asyncpg.connect(cities.settings.database.get_secret_value())
    try:
        async with reentering(cities, lambda *_: Clock().now()) as reentry:
            async with holder.transaction():
                await holder.execute("SELECT * FROM entity WHERE name = 'volunteer:v-locked' FOR UPDATE")
                assert await reentry.once() == 1
                assert await cities.total("v-free") == 1
            await eventually(reentry.once)
        assert await cities.total("v-locked") == 1
    finally:
        await holder.close()


async def test_a_crowd_that_is_let_back_in_waits_for_its_own_backlog(cities: Cities) -> None:
    """As live messages do: else it would stand in the outbox before everybody's."""
    inlet, other = cities.tally.inlet.name, cities.tally.other.name
    await stand_aside(cities, *(aside(inlet, f"v-{n}") for n in range(10)), aside(other, "v-other"))
    count = "SELECT count(*) FROM outbox WHERE origin = $1"
    async with reentering(cities, lambda *_: Clock().now()) as reentry:
        assert [await reentry.once(limit=3), await reentry.once(limit=3)] == [4, 3]
        assert await cities.db.fetchval(count, cities.tally.group) == 6
        assert await reentry.once() == 0
        await cities.db.execute("DELETE FROM outbox")
        assert await reentry.once() == 4


async def test_what_waited_before_channels_were_kept_is_decided_once_more(database: str) -> None:
    folder = Path(set_aside.__file__).parents[1] / "migrations"
    db = await asyncpg.connect(database)
    row = """INSERT INTO set_aside (reason, subject, fact, deadline, topic, partition, "offset", "timestamp", headers,
        received_at) VALUES ('waiting', 's', 'f', now(), 't', 0, 0, 0, '', now())"""
    try:
        for name in sorted(file.name for file in folder.glob("000[1-5]_*.sql")):
            await db.execute((folder / name).read_text())
        await db.execute(row)
        await db.execute((folder / "0006_waits_by_channel.sql").read_text())
        assert tuple(await db.fetchrow("SELECT reason, fact, deadline FROM set_aside") or ()) == ("ready", None, None)
        with pytest.raises(asyncpg.CheckViolationError):
            await db.execute(row)
    finally:
        await db.close()
