"""Processes of one service take numbers by themselves, share the work, and never have one number twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from services.chassis.base.persistent import cancel_all
from services.chassis.process import instance
from services.chassis.process.instance import Instance, NumberTaken
from tests.lab.faults.groups import shares
from tests.support.rig import Rig
from tests.support.tally import credit
from tests.support.tally_child import TallyChild
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def processes(rig: Rig, folder: Path, *names: str) -> AsyncIterator[list[TallyChild]]:
    """Processes that are ready; all of them were started at the same time, with the same settings."""
    found = [TallyChild(rig, folder, name) for name in names]
    try:
        await asyncio.gather(*(one.start() for one in found))
        yield found
    finally:
        await asyncio.gather(*(one.stop() for one in found))


def number(process: TallyChild) -> int:
    """What it said when it started last."""
    return int([line["instance"] for line in process.lines() if line["event"] == "started"][-1])


def thrown_out(process: TallyChild) -> list[str]:
    said = [f"{line['event']} {line.get('detail', '')}" for line in process.lines()]
    return [line for line in said if "member_id" in line or "Fenced" in line]


@pytest.mark.real_kafka
async def test_two_processes_without_a_number_share_the_work_and_a_third_takes_the_number_of_one_killed(
    rig: Rig, tmp_path: Path
) -> None:
    """Seen: with ``--scale attendance=2`` both were instance 0, and threw each other out for ever."""
    everything = {TopicPartition(rig.tally.inlet.name, place) for place in range(rig.tally.inlet.partitions)}

    async def shared() -> bool:
        found = await shares(rig.settings.kafka, [rig.tally.group])
        return found.keys() == {0, 1} and all(found.values()) and set().union(*found.values()) == everything

    async with processes(rig, tmp_path, "one", "two") as both:
        assert sorted(map(number, both)) == [0, 1]
        await eventually(shared)
        await rig.send(*[credit(f"v{n}", 1) for n in range(100)])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 100 FROM total"))
        first = both[0] if number(both[0]) == 0 else both[1]
        await first.kill()
        third = TallyChild(rig, tmp_path, "three")
        try:
            await third.start()
            assert number(third) == 0
            await eventually(shared)
            await rig.send(*[credit(f"w{n}", 1) for n in range(100)])
            await eventually(lambda: rig.db.fetchval("SELECT count(*) = 200 FROM total"))
        finally:
            await third.stop()
        assert not [line for one in (*both, third) for line in thrown_out(one)]


async def test_a_process_that_is_started_again_has_its_number_again(rig: Rig) -> None:
    async with numbers(rig, 3) as three:
        assert [one.number for one in three] == [0, 1, 2]
        await three[1].close()
        again = Instance(rig.settings, "tally")
        try:
            assert await eventually(lambda: takes(again)) == [1]
        finally:
            await again.close()


async def takes(one: Instance) -> list[int]:
    """PostgreSQL sees the end of a session a moment after it; asking again gives the lowest free number."""
    found = await one.take()
    return [found] if found == 1 else []


@contextlib.asynccontextmanager
async def numbers(rig: Rig, count: int) -> AsyncIterator[list[Instance]]:
    """So many, each with its number."""
    found = [Instance(rig.settings, "tally") for _ in range(count)]
    try:
        for one in found:
            await one.take()
        yield found
    finally:
        for one in found:
            await one.close()


async def end_session(rig: Rig, one: Instance) -> None:
    assert await rig.db.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1", one._name
    )


async def holders(rig: Rig, number: int) -> list[str]:
    return [row["application_name"] for row in await rig.db.fetch(instance._HOLDER, instance._NUMBERS, number)]


async def test_a_process_whose_session_ended_takes_the_same_number_again(rig: Rig) -> None:
    async with numbers(rig, 1) as (one,):
        former = one._db
        keeping = asyncio.create_task(one.keep())
        try:
            await end_session(rig, one)
            await eventually(lambda: one._db is not former)
            await eventually(lambda: held_by(rig, one))
            assert not keeping.done()
        finally:
            await cancel_all([keeping])


async def held_by(rig: Rig, one: Instance) -> bool:
    return await holders(rig, one.number) == [one._name]


async def test_a_session_of_ours_that_the_database_still_holds_does_not_keep_us_from_our_number(rig: Rig) -> None:
    """A line that broke: the database does not know yet that nobody is at its other end."""
    async with numbers(rig, 1) as (one,):
        left = one._db
        one._db = None  # as if its end had never been heard of
        assert left is not None
        try:
            await eventually(one._taken_again)
            assert await held_by(rig, one)
        finally:
            left.terminate()


async def test_a_process_whose_number_was_taken_meanwhile_stops_and_says_why(rig: Rig) -> None:
    async with numbers(rig, 1) as (one,):
        assert one._db is not None
        await end_session(rig, one)
        other = Instance(rig.settings, "tally")
        try:
            await eventually(lambda: took_zero(other))
            with pytest.raises(NumberTaken, match="number 0 was taken by another process"):
                await one.keep()
        finally:
            await other.close()


async def took_zero(other: Instance) -> bool:
    return await other.take() == 0
