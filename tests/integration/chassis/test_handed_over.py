"""Messages that are handed over while their stored offsets are not known: nobody has to send another for them to count.

Seen in continuous integration on a slow broker: a paused registry's messages came in while the offsets of its lane were
still read. Two connections were made, the second one forgot the offsets, and the client stood behind the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from services.chassis.base.database import Connection
from services.chassis.lanes.consuming import Lane
from services.chassis.service import Service
from tests.support.rig import Rig, first_lane
from tests.support.tally import credit
from tests.support.waiting import eventually

CREDITS = [credit(f"v{n}", 1) for n in range(40)]


@contextlib.asynccontextmanager
async def without_offsets(db: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """Nobody can read them, while all else in the database answers."""
    await db.execute("ALTER TABLE consumed RENAME TO hidden")
    try:
        yield
    finally:
        await db.execute("ALTER TABLE hidden RENAME TO consumed")


async def _begun(rig: Rig) -> None:
    """The first start of a database asks for its positions, to see whether it is new."""
    async with rig.running() as runtime:
        await first_lane(runtime)


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, int]]:
    """Partition and offset of each message that lanes have been through with, whether they applied it or not."""
    seen: set[tuple[int, int]] = set()
    handle = Lane._handle

    async def noted(lane: Lane, raw: Any) -> None:
        await handle(lane, raw)
        seen.update((message.partition, message.offset) for message in raw)

    monkeypatch.setattr(Lane, "_handle", noted)
    return seen


async def test_messages_handed_over_while_no_offset_can_be_read_are_applied_when_it_can(
    rig: Rig, handed_over: set[tuple[int, int]]
) -> None:
    await _begun(rig)
    await rig.send(*CREDITS)
    async with without_offsets(rig.db), contextlib.AsyncExitStack() as later:
        runtime = await later.enter_async_context(rig.running())
        await eventually(lambda: len(handed_over) == len(CREDITS))
        [lane] = runtime.lanes
        assert not lane.ready.is_set()
        running = later.pop_all()
    async with running:
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) = 40 FROM total"))
        assert lane.ready.is_set()
        assert lane.lag() == 0


async def test_messages_of_a_paused_group_handed_over_while_no_offset_can_be_read_are_applied_once_it_is_resumed(
    rig: Rig, handed_over: set[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: set[str] = {rig.tally.group}

    async def names(db: Connection) -> Collection[str]:
        return paused

    def pausable(service: Service) -> Service:
        return replace(
            service, paused_groups=names, streams=tuple(replace(one, pausable=True) for one in service.streams)
        )

    description = rig.tally.service
    monkeypatch.setattr(rig.tally, "service", lambda: pausable(description()))
    await _begun(rig)
    await rig.send(*CREDITS)
    async with without_offsets(rig.db), contextlib.AsyncExitStack() as later:
        await later.enter_async_context(rig.running())
        await eventually(lambda: len(handed_over) == len(CREDITS))
        running = later.pop_all()
    async with running:
        assert await rig.db.fetchval("SELECT count(*) FROM total") == 0
        paused.clear()
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) = 40 FROM total"))


async def test_two_that_want_the_connection_of_a_lane_at_once_get_the_same_one(rig: Rig) -> None:
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        known = dict((await lane._connected()).next)
        assert known
        lane._drop_connection()
        one, other = await asyncio.gather(lane._connected(), lane._connected())
        assert one is other
        assert one.next == known
        sessions: Any = "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = $1"
        await eventually(lambda: rig.db.fetchval(sessions, lane.member))


async def test_a_lane_that_cannot_read_its_offsets_is_not_ready_until_it_can(rig: Rig) -> None:
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        async with without_offsets(rig.db):
            await lane._reread([])
            assert (await runtime.health())["lanes_waiting"] == [lane.member]
        await lane._reread([])
        assert (await runtime.health())["lanes_waiting"] == []
