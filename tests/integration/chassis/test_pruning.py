"""What a service needs no more is forgotten at night, and nothing that somebody holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.chassis.base.database import Batch, forget_names
from services.chassis.jobs import pruning
from tests.support.schedule import START, House, all_done, house_of
from tests.support.waiting import eventually


@pytest.fixture
async def house(database: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(database, tmp_path) as found:
        yield found


async def test_names_of_nobody_are_forgotten_at_night_and_made_again_when_they_are_locked(house: House) -> None:
    scheduler = await house.begun(*pruning.JOBS)
    async with house.pool.acquire() as db:
        async with db.transaction():
            await Batch(db).lock(["old", "old-and-parked", "new", "old-and-locked"])
        await db.execute("UPDATE entity SET made_at = $1", START - timedelta(days=40))
        await db.execute("UPDATE entity SET made_at = $1 WHERE name = 'new'", START - timedelta(days=3))
        await db.execute("UPDATE entity SET parked = true WHERE name = 'old-and-parked'")
        house.clock.moment += timedelta(days=1)
        async with db.transaction():
            await Batch(db).lock(["old-and-locked"])
            await all_done(scheduler)
        names = [row[0] for row in await db.fetch("SELECT name FROM entity ORDER BY name")]
        assert names == ["new", "old-and-locked", "old-and-parked"]
        async with db.transaction():
            assert await Batch(db).lock(["old", "old-and-parked"]) == {"old-and-parked"}


async def test_who_locks_a_name_while_it_is_forgotten_waits_and_holds_it_afterwards(house: House) -> None:
    await house.begun()
    async with house.pool.acquire() as pruner, house.pool.acquire() as batch:
        async with batch.transaction():
            await Batch(batch).lock(["name"])
        async with batch.transaction():
            async with pruner.transaction():
                assert await forget_names(pruner, datetime.now(UTC) + timedelta(days=1), 10) == 1
                locking = asyncio.create_task(Batch(batch).lock(["name"]))
                waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
                await eventually(lambda: house.pool.fetchval(waits), what="the batch waits for the pruner")
            assert await locking == set()
            assert await pruner.fetchval("SELECT count(*) FROM entity WHERE name = 'name'") == 0, "not committed yet"
            assert await forget_names(pruner, datetime.now(UTC) + timedelta(days=1), 10) == 0
        assert await pruner.fetchval("SELECT count(*) FROM entity WHERE name = 'name'") == 1


async def test_what_a_replay_was_made_from_is_forgotten_after_a_fortnight_and_what_is_open_is_kept(
    house: House,
) -> None:
    scheduler = await house.begun(*pruning.JOBS)
    keep = "INSERT INTO said_since VALUES ('s', $1, 't', 0, 1, '', $2, $3)"
    for id, days, again in (("old", 20, True), ("open", 20, False), ("new", 2, True)):
        await house.pool.execute(keep, id, START - timedelta(days=days), again)
    for days in (20, 2):
        moment = START - timedelta(days=days)
        await house.pool.execute("INSERT INTO said_passed VALUES ('t', 0, $1, $2)", days, moment)
        await house.pool.execute("INSERT INTO said_begun VALUES ($1, 't', 0, 1)", moment)
    await house.pool.execute("INSERT INTO restored (by) VALUES ('an operator')")

    async def left() -> tuple[Any, ...]:
        ids = [row[0] for row in await house.pool.fetch("SELECT id FROM said_since ORDER BY id")]
        counts = [await house.pool.fetchval(f"SELECT count(*) FROM {name}") for name in ("said_passed", "said_begun")]
        return ids, *counts

    house.clock.moment += timedelta(days=1)
    await all_done(scheduler)
    assert await left() == (["new", "old", "open"], 2, 2), "a replay is to come"
    await house.pool.execute("DELETE FROM restored")
    house.clock.moment += timedelta(days=1)
    await all_done(scheduler)
    assert await left() == (["new", "open"], 1, 1)
