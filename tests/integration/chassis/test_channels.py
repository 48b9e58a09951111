"""A wait listens to the channels that can bring its fact: what moves on no other ends it, and delays it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Event
from contracts.partitioner import partition_for
from deploy.local.broker import Broker
from deploy.local.topics import ensure_topics
from services.chassis import channels, set_aside
from services.chassis.clock import Clock
from services.chassis.database import Batch, open_pool
from services.chassis.decisions import Channel, Decision, Inbound, States
from services.chassis.migrations import migrate
from services.chassis.processing import Processor
from services.chassis.records import Record
from services.chassis.reentry import Reentry
from services.chassis.service import Service, Stream
from services.chassis.set_aside import Aside
from services.chassis.settings import Settings
from tests.support.rig import TOKENS, Rig
from tests.support.tally import MIGRATION, SOURCE, Tally, as_record, credit
from tests.support.waiting import eventually

_OVER = "SELECT bool_and(deadline + interval '1 second' < now()) FROM set_aside WHERE reason = 'waiting'"


class TwoCities(Tally):
    """A tally with a group for each of two cities. ``wait-both…`` listens to both, ``wait-key…`` to its own key, and
    any other to its own city."""

    def __init__(self, suffix: str, migrations: Path) -> None:
        super().__init__(suffix, migrations)
        self.other = replace(self.inlet, name=f"tally-other-{suffix}")
        self.other_group = f"{self.group}-other"

    def service(self) -> Service:
        """Two streams."""
        sources = frozenset({SOURCE})
        first = Stream(self.group, (self.inlet,), sources, backlog_limit=5)
        return replace(super().service(), streams=(first, Stream(self.other_group, (self.other,), sources)))

    def decide(self, states: States, inbound: Inbound, now: datetime) -> Decision:
        """As a tally, listening where the name says."""
        decision = super().decide(states, inbound, now)
        if decision.wait is None:
            return decision
        ref = inbound.data.volunteer_ref
        own = self.inlet if inbound.topic == self.inlet.name else self.other
        heard: tuple[Channel, ...] = (Channel(own),)
        if ref.startswith("wait-both"):
            heard = (Channel(self.inlet), Channel(self.other))
        elif ref.startswith("wait-key"):
            heard = (Channel(own, ref),)
        return replace(decision, wait=replace(decision.wait, brought_by=heard))


class Cities(Rig):
    """The rig of two cities."""

    tally: TwoCities

    async def other_says(self, *events: Event, partition: int | None = None, topic: str = "") -> None:
        """Publish in order, in the other city."""
        for event in events:
            key, value, headers = as_record(event)
            name = topic or self.tally.other.name
            await self.producer.send(name, key=key, value=value, headers=headers, partition=partition)
        await self.producer.flush()

    @asynccontextmanager
    async def standing(self, group: str, partition: int | None = None) -> AsyncIterator[None]:
        """Nothing of this group can be applied, in one partition or in any: somebody holds its stored offsets."""
        rows = "FROM consumed WHERE grp = $1 AND ($2::int IS NULL OR partition = $2)"
        wanted = 1 if partition is not None else self.tally.inlet.partitions
        await eventually(lambda: self.db.fetchval(f"SELECT count(*) = {wanted} {rows}", group, partition))
        other = await asyncpg.connect(self.settings.database.get_secret_value())
        try:
            async with other.transaction():
                await other.execute(f"SELECT * {rows} FOR UPDATE", group, partition)
                yield
        finally:
            await other.close()


@pytest.fixture
async def cities(broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Cities]:
    (tmp_path / "0001_total.sql").write_text(MIGRATION)
    (tmp_path / "tokens.yaml").write_text(TOKENS)
    tally = TwoCities(unique("t"), tmp_path)
    await ensure_topics(broker.address, [tally.inlet, tally.other, tally.outlet])
    await migrate(database, tmp_path)
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        http_port=0,
        await_facts=1.0,
        tokens_file=tmp_path / "tokens.yaml",
    )
    db = await asyncpg.connect(database)
    try:
        async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
            yield Cities(tally, settings, db, producer)
    finally:
        await db.close()


async def alone_waits(cities: Cities) -> bool:
    return await cities.aside() == {"waiting": 1}


async def waiting(cities: Cities) -> int:
    return (await cities.aside()).get("waiting", 0)


async def test_a_wait_ends_though_another_citys_stream_stands_still(cities: Cities) -> None:
    """Seen: one city's poison kept back the refusals of all others, and the end of their pauses."""
    async with cities.running():
        async with cities.standing(cities.tally.other_group):
            await cities.other_says(credit("v-unread", 1))
            await cities.send(credit("wait-own-1", 1))
            await eventually(lambda: cities.tally.refused == 1)
            assert await cities.total("v-unread") is None, "the other one stands"
        await eventually(lambda: cities.total("v-unread"))


async def test_a_wait_ends_though_another_citys_lane_is_not_ready(cities: Cities) -> None:
    """As while its stored offsets cannot be compared with its log."""
    async with cities.running() as runtime:
        await eventually(lambda: len(runtime.lanes) == 2 and all(lane.ready.is_set() for lane in runtime.lanes))
        runtime.lanes[1].ready.clear()
        await cities.send(credit("wait-own-1", 1))
        await eventually(lambda: cities.tally.refused == 1)


async def test_a_fact_that_lies_unread_in_another_city_is_waited_for_where_it_can_bring_it(cities: Cities) -> None:
    """Over a restart, while what waits by its own city alone is refused, though its time is up later."""
    async with cities.running():
        await cities.send(credit("wait-both-1", 3))
        await eventually(lambda: waiting(cities))
    async with cities.standing(cities.tally.other_group):
        await cities.other_says(credit("fact-both", 1))
        await eventually(lambda: cities.db.fetchval(_OVER))
        async with cities.running():
            await cities.send(credit("wait-own-1", 1))
            await eventually(lambda: cities.tally.refused == 1)
            await eventually(lambda: alone_waits(cities))
            assert await cities.db.fetchval(_OVER)
    async with cities.running():
        await eventually(lambda: cities.total("wait-both-1"))
        await eventually(lambda: cities.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    assert cities.tally.refused == 1


async def test_a_wait_by_one_key_ends_though_another_partition_of_its_topic_stands_still(cities: Cities) -> None:
    ref = "wait-key-1"
    own = partition_for(ref, cities.tally.other.partitions)
    stuck = (own + 1) % cities.tally.other.partitions
    async with cities.running():
        await cities.other_says(credit(ref, 1))
        await eventually(lambda: waiting(cities))
        async with cities.standing(cities.tally.other_group, stuck):
            unread = next(n for n in map("v-{}".format, range(100)) if partition_for(n, 4) == stuck)
            await cities.other_says(credit(unread, 1))
            await eventually(lambda: cities.tally.refused == 1)
            assert await cities.total(unread) is None


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
    folder = Path(set_aside.__file__).parent / "migrations"
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
