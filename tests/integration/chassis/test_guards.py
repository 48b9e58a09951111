"""What keeps the promises when the surroundings fail: settings in effect, replaced logs, lost databases, races."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition

from services.chassis.aside.reentry import Reentry
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, open_connection, open_pool
from services.chassis.batch import set_aside
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.processing import Processor
from services.chassis.log import kafka
from services.chassis.log.positions import FenceLost, LogMismatch
from services.chassis.log.records import Record
from services.chassis.process.runtime import Runtime
from services.chassis.service import Service
from tests.support.rig import Rig, first_lane, release_raised
from tests.support.statements import statements
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually


async def _applied_once(rig: Rig) -> None:
    async with rig.running():
        await rig.send(*[credit(f"v{n}", 1) for n in range(40)])
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) = 40 FROM total"))


async def _stops_with(rig: Rig, words: str) -> None:
    runtime = Runtime(rig.tally.service(), rig.settings)
    with pytest.raises(LogMismatch, match=words):
        await asyncio.wait_for(runtime.run(), 40)
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 40


async def test_a_log_that_holds_another_message_at_the_stored_offset_stops_the_service(rig: Rig) -> None:
    await _applied_once(rig)
    await rig.db.execute("UPDATE consumed SET last_mark = 'of another log' WHERE next_offset > 0")
    await _stops_with(rig, "another message than the one")


async def test_a_log_that_ends_before_the_stored_offset_stops_the_service(rig: Rig) -> None:
    await _applied_once(rig)
    await rig.db.execute("UPDATE consumed SET next_offset = next_offset + 1000")
    await _stops_with(rig, "shorter one")


def _in_one_partition(rig: Rig) -> None:
    """For batches that no broker hands over: whatever key they have, it belongs there."""
    rig.tally.inlet = replace(rig.tally.inlet, partitions=1)


async def test_a_paused_zombie_is_fenced_and_changes_nothing(rig: Rig) -> None:
    _in_one_partition(rig)
    tally = rig.tally.service()
    processor = Processor(tally, rig.settings, Clock())
    await rig.db.execute("INSERT INTO consumed VALUES ($1, $2, 0, 5)", rig.tally.group, rig.tally.inlet.name)
    other = await asyncpg.connect(rig.settings.database.get_secret_value())
    try:
        zombie = LiveBatches(processor, tally.streams[0], other)
        zombie.next[TopicPartition(rig.tally.inlet.name, 0)] = 3
        with pytest.raises(FenceLost):
            await zombie.apply([_record(rig, 3, "v", 1)])
    finally:
        await other.close()
    assert await rig.db.fetchval("SELECT count(*) FROM total") == 0
    assert await rig.db.fetchval("SELECT count(*) FROM inbox") == 0


def _record(rig: Rig, offset: int, ref: str, delta: int) -> Record:
    key, value, headers = as_record(credit(ref, delta))
    return Record(rig.tally.inlet.name, 0, offset, 1, key, headers, value)


async def _statements(rig: Rig, start: int, refs: list[str]) -> int:
    """How many SQL statements one batch of one message for each of these volunteers takes."""
    connection = await open_connection(rig.settings.database.get_secret_value(), application="test")
    try:
        service: Service = rig.tally.service()
        live = LiveBatches(Processor(service, rig.settings, Clock()), service.streams[0], connection)
        live.next[TopicPartition(rig.tally.inlet.name, 0)] = start
        with statements(connection) as seen:
            await live.apply([_record(rig, start + n, ref, 1) for n, ref in enumerate(refs)])
    finally:
        await connection.close()
    return len(seen)


async def test_a_batch_of_500_takes_as_many_statements_as_a_batch_of_one(rig: Rig) -> None:
    _in_one_partition(rig)
    await rig.db.execute("INSERT INTO consumed VALUES ($1, $2, 0, 0)", rig.tally.group, rig.tally.inlet.name)
    one = await _statements(rig, 0, ["a", "wait-q-1"])
    many = await _statements(rig, 2, [*(f"v{n}" for n in range(250)), *(f"wait-r{n}-1" for n in range(250))])
    assert one == many
    assert one <= 11


async def test_a_batch_in_which_one_message_was_seen_before_applies_the_others_once(rig: Rig) -> None:
    _in_one_partition(rig)
    await rig.db.execute("INSERT INTO consumed VALUES ($1, $2, 0, 0)", rig.tally.group, rig.tally.inlet.name)
    connection = await open_connection(rig.settings.database.get_secret_value(), application="test")
    service: Service = rig.tally.service()
    live = LiveBatches(Processor(service, rig.settings, Clock()), service.streams[0], connection)
    live.next[TopicPartition(rig.tally.inlet.name, 0)] = 0
    try:
        first = [_record(rig, 0, "v0", 1)]
        await live.apply(first)
        again = [first[0]._replace(offset=1), *(_record(rig, 1 + n, f"v{n}", 1) for n in range(1, 300))]
        effects = await live.apply(again)
        assert (len(effects.applied), effects.asides) == (299, [])
        with statements(connection) as seen:
            await live.apply([record._replace(offset=record.offset + 300) for record in again])
        assert len(seen) <= 9, "twice the beginning, and nothing to decide"
    finally:
        await connection.close()
    assert await rig.db.fetchval("SELECT (sum(minutes), count(*)) = (300, 300) FROM total")
    assert await rig.db.fetchval("SELECT next_offset FROM consumed") == 601


async def _reached(rig: Rig, minutes: int) -> bool:
    return bool(await rig.db.fetchval("SELECT coalesce(sum(minutes), 0) >= $1 FROM total", minutes))


async def test_the_database_going_away_in_between_costs_time_and_nothing_else(rig: Rig) -> None:
    async with rig.running():
        await rig.send(credit("v0", 1))
        await eventually(partial(_reached, rig, 1))  # it has started: a start without its database is refused
        for round_ in range(5):
            await rig.send(*[credit(f"v{n % 20}", 1) for n in range(200)])
            await rig.db.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()
                     AND backend_type = 'client backend'"""
            )
            await eventually(partial(_reached, rig, (round_ + 1) * 200 + 1))
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 1001
    assert await rig.aside() == {}


async def test_no_message_is_orphaned_when_its_fact_comes_at_the_same_moment(rig: Rig) -> None:
    """1,000 races: the one who waits and the fact it waits for, on two lanes, in both orders."""
    pairs = []
    for n in range(1000):
        pair = [credit(f"wait-p{n}-1", 1), credit(f"fact-p{n}", 1)]
        pairs += pair if n % 2 else pair[::-1]
    async with rig.running(lanes=2, batch=7, await_facts=120):
        await rig.send(*pairs)
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) = 2000 FROM total"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
        await eventually(lambda: rig.db.fetchval("SELECT NOT coalesce(bool_or(parked), false) FROM entity"))


async def test_what_comes_behind_while_those_before_it_are_decided_is_not_left_there(rig: Rig) -> None:
    """Seen on the first real stack: a message that queued behind a waiting one just as that one was applied."""
    async with rig.running(lanes=2, batch=3, await_facts=120):
        for n in range(150):
            await rig.send(credit(f"wait-b{n}-1", 1), credit(f"fact-b{n}", 1))
            await rig.send(credit(f"wait-b{n}-1", 1), credit(f"wait-b{n}-1", 1))
        await eventually(lambda: rig.db.fetchval("SELECT coalesce(sum(minutes), 0) = 600 FROM total"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))


async def test_a_subject_that_is_just_being_parked_is_not_opened_by_a_look_at_another(rig: Rig) -> None:
    """Seen in review: rows decided elsewhere between two looks, whose subject this batch has not locked."""
    service = rig.tally.service()
    clock = Clock()
    pool = await open_pool(rig.settings.database.get_secret_value(), size=3, application="test")
    reentry = Reentry(Processor(service, rig.settings, clock), pool, asyncio.Event(), lambda _, due: due)
    gone = set_aside.Aside(_record(rig, 0, "wait-u-1", 1), "ready", clock.now(), "volunteer:wait-u-1", seq=999)
    parker = await asyncpg.connect(rig.settings.database.get_secret_value())
    try:
        async with parker.transaction():
            await Batch(parker).lock(["volunteer:wait-u-1"])
            later = clock.now() + timedelta(hours=1)
            inlet = rig.tally.inlet.name
            waiting = replace(gone, reason="waiting", fact="fact:fact-u", deadline=later, brought_by=inlet)
            await set_aside.insert(parker, [waiting])
            await set_aside.park(parker, ["volunteer:wait-u-1"])
            async with pool.acquire() as db:
                await asyncio.wait_for(reentry._commit(db, [gone], {}, rig.tally.group), 5)
        assert await rig.db.fetchval("SELECT parked FROM entity WHERE name = 'volunteer:wait-u-1'") is True
    finally:
        await parker.close()
        await pool.close()


@pytest.mark.real_kafka
async def test_messages_removed_under_a_running_consumer_stop_it(rig: Rig) -> None:
    tp = TopicPartition(rig.tally.inlet.name, 0)
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        record = SimpleNamespace(
            topic=tp.topic, partition=0, offset=7, timestamp=1, timestamp_type=0, key=b"v", headers=(), value=b"{}"
        )
        jumped: Any = [record]
        assert await lane._expected(jumped) == ([], {})  # sought back and verified: the log is whole
        assert (await lane._expected(jumped))[1] == {tp: 0}  # so the jump is believed
        assert runtime.fatal is None
        await rig.db.execute("UPDATE consumed SET next_offset = 900")
        await lane._reread([])
        await eventually(lambda: runtime.fatal is not None)
        assert isinstance(runtime.fatal, LogMismatch)
        runtime.fatal = None


async def test_a_line_longer_than_one_look_is_applied_to_its_end(rig: Rig) -> None:
    async with rig.running() as runtime:
        await rig.send(credit("raise-long", -1), *[credit("raise-long", 1) for _ in range(2500)])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2501 FROM set_aside"))
        rig.tally.broken = False
        await release_raised(runtime.settings.http_port)
        await eventually(lambda: rig.total("raise-long"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    assert await rig.total("raise-long") == 2499


async def test_what_was_decided_goes_out_once_acknowledged_and_in_order_of_each_key(rig: Rig) -> None:
    places = [TopicPartition(rig.tally.outlet.name, number) for number in range(rig.tally.outlet.partitions)]
    reader: Any = await kafka.open_reader(rig.settings, "check", places)
    reader.resume(*places)
    try:
        async with rig.running():
            await rig.send(*[credit(f"v{n % 10}", n) for n in range(600)])
            seen: dict[bytes, list[int]] = {}

            async def all_out() -> bool:
                for messages in (await reader.getmany(timeout_ms=200)).values():
                    for message in messages:
                        delta = int(message.value.split(b'"delta":')[1].split(b",")[0])
                        seen.setdefault(message.key, []).append(delta)
                return sum(map(len, seen.values())) >= 600

            await eventually(all_out)
    finally:
        await reader.stop()
    assert seen == {f"v{k}".encode(): list(range(k, 600, 10)) for k in range(10)}
