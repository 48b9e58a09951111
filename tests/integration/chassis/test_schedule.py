"""The schedule on a real database: each due once over all processes, in order, and nothing half done."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.envelope import decode
from services.chassis import pruning
from services.chassis.clock import Clock
from services.chassis.database import Batch, Pool, forget_names, open_pool
from services.chassis.migrations import migrate
from services.chassis.processing import Processor
from services.chassis.records import unpack_headers
from services.chassis.schedule import Job, Run
from services.chassis.scheduling import Scheduler
from services.chassis.settings import Settings
from tests.support.naming import SECRET
from tests.support.tally import MIGRATION, Tally

START = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # in Berlin summer time begins the night after
DONE = "CREATE TABLE done (job text, due timestamptz, by text, transaction text, portion serial);"


class Stopped(Clock):
    """A clock that a test moves on."""

    def __init__(self, moment: datetime = START) -> None:
        super().__init__()
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class House:
    """A database, and processes of one service on it: each with a pool of its own, all by one clock."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.clock = Stopped()
        self.tally = Tally("schedule", folder)
        self.pools: list[Pool] = []
        self.pool: Pool

    async def process(self, *jobs: Job) -> Scheduler:
        pool = await open_pool(self.dsn, size=3, application="schedule")
        self.pools.append(pool)
        self.pool = pool
        settings = Settings(profile="test", database=SecretStr(self.dsn), naming_secret=SECRET)
        return Scheduler(Processor(self.tally.service(), settings, self.clock), pool, jobs, asyncio.Event())

    async def begun(self, *jobs: Job) -> Scheduler:
        """A process that has entered its jobs: none is due yet."""
        scheduler = await self.process(*jobs)
        assert await scheduler.once() > 0
        return scheduler

    async def late(self, scheduler: Scheduler) -> float:
        async with self.pool.acquire() as db:
            return (await scheduler.late(db))["note"]

    async def done(self, what: str = "due") -> list[Any]:
        return [row[0] for row in await self.pool.fetch(f"SELECT {what} FROM done ORDER BY portion")]


@pytest.fixture
async def house(database: str, tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "0001_total.sql").write_text(MIGRATION + DONE)
    await migrate(database, tmp_path)
    found = House(database, tmp_path)
    yield found
    for pool in found.pools:
        await pool.close()


def noted(by: str = "") -> Callable[[Run], Awaitable[bool]]:
    async def note(run: Run) -> bool:
        insert = "INSERT INTO done (job, due, by, transaction) VALUES ('note', $1, $2, pg_current_xact_id()::text)"
        await run.db.execute(insert, run.due, by)
        return False

    return note


async def all_done(scheduler: Scheduler) -> None:
    while await scheduler.once() == 0:
        pass


async def test_of_two_processes_one_does_what_is_due_and_the_other_waits_for_nothing(house: House) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def slow(run: Run) -> bool:
        at_work.set()
        await go_on.wait()
        return await noted("one")(run)

    one = await house.begun(Job("note", slow, every=timedelta(hours=1)))
    other = await house.process(Job("note", noted("other"), every=timedelta(hours=1)))
    house.clock.moment += timedelta(hours=1)
    working = asyncio.create_task(one.once())
    await at_work.wait()
    assert await other.once() > 0
    assert await house.done("by") == []
    go_on.set()
    await working
    assert await other.once() > 0
    assert await house.done("by") == ["one"]


async def test_two_processes_that_run_at_once_do_each_due_once_and_in_order(house: House) -> None:
    job = Job("note", noted(), every=timedelta(minutes=1))
    processes = [await house.begun(job), await house.process(job)]
    house.clock.moment += timedelta(minutes=40)
    await asyncio.gather(*map(all_done, processes))
    await asyncio.gather(*map(all_done, processes))  # one may have found the last due locked
    assert await house.done() == [START + timedelta(minutes=n) for n in range(1, 41)]


async def test_three_days_without_a_process_are_done_in_order_each_in_a_transaction_of_its_own(house: House) -> None:
    days: list[date] = []

    async def note(run: Run) -> bool:
        days.append(run.day)
        return await noted()(run)

    job = Job("note", note, at=time(0, 30))
    await house.begun(job)
    house.clock.moment += timedelta(days=3)
    back = await house.process(job)
    assert await house.late(back) == timedelta(days=2, hours=19, minutes=30).total_seconds()
    await all_done(back)
    midnight = datetime(2026, 3, 28, 16, 30, tzinfo=UTC)
    assert await house.done() == [midnight + timedelta(days=n) for n in range(3)]
    assert days == [date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31)]
    assert len(set(await house.done("transaction"))) == 3
    assert await house.late(back) == 0


async def test_of_three_missed_days_a_job_that_needs_no_more_does_the_last_one(house: House) -> None:
    await house.begun(Job("note", noted(), at=time(0, 30), each=False))
    house.clock.moment += timedelta(days=3)
    await all_done(await house.process(Job("note", noted(), at=time(0, 30), each=False)))
    assert await house.done() == [datetime(2026, 3, 30, 16, 30, tzinfo=UTC)]


async def test_a_job_that_fails_rests_and_says_so_while_the_others_go_on(house: House) -> None:
    asked: list[datetime] = []

    async def fails(run: Run) -> bool:
        asked.append(run.due)
        await noted("half")(run)
        raise ValueError("as asked")

    hour = timedelta(hours=1)
    jobs = Job("fails", fails, every=hour), Job("note", noted("note"), every=hour)
    scheduler = await house.begun(*jobs)
    house.clock.moment += 2 * hour
    await all_done(scheduler)
    assert await house.done("by") == ["note", "note"]
    assert len(asked) == 1, "it rests"
    trouble = scheduler.troubles["fails"]
    assert (trouble.active, trouble.detail) == (True, "ValueError: as asked")
    assert not scheduler.troubles["note"].active
    mended = await house.process(Job("fails", noted("mended"), every=hour), jobs[1])
    await all_done(mended)
    assert await house.done("by") == ["note", "note", "mended", "mended"]
    assert await scheduler.once() > 0
    assert not trouble.active, "another process has done it"


async def test_a_job_whose_session_is_cut_between_its_work_and_the_commit_has_done_nothing(house: House) -> None:
    async def cut(run: Run) -> bool:
        await noted("cut")(run)
        run.send(*house.tally.words("bonus-a", run.due))
        await run.db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return False

    hour = timedelta(hours=1)
    scheduler = await house.begun(Job("note", cut, every=hour))
    house.clock.moment += hour
    await scheduler.once()
    assert scheduler.troubles["note"].active
    await all_done(await house.process(Job("note", noted("whole"), every=hour)))
    assert await house.done("by") == ["whole"]
    assert await house.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_due_in_portions_goes_on_where_it_stood_and_each_portion_has_ids_of_its_own(house: House) -> None:
    broken = True

    async def portion(run: Run) -> bool:
        done = len(await house.done())
        if done == 2 and broken:
            raise ValueError("as asked")
        await noted(str(done))(run)
        run.send(*house.tally.words(f"bonus-{done}", run.due))
        return done < 3

    job = Job("note", portion, every=timedelta(hours=1))
    scheduler = await house.begun(job)
    house.clock.moment += timedelta(hours=1)
    await all_done(scheduler)
    assert await house.done("by") == ["0", "1"]
    broken = False
    await all_done(await house.process(job))
    assert await house.done("by") == ["0", "1", "2", "3"]
    assert set(await house.done()) == {START + timedelta(hours=1)}
    rows = await house.pool.fetch("SELECT headers, value FROM outbox ORDER BY id")
    events = [decode(row["value"], unpack_headers(row["headers"])) for row in rows]
    assert [event.key for event in events] == [f"bonus-{n}" for n in range(4)]
    assert len({event.id for event in events}) == 4


async def test_a_database_that_goes_back_a_day_does_that_day_again_under_the_same_ids(house: House) -> None:
    async def tells(run: Run) -> bool:
        run.send(*house.tally.words("bonus-a", run.due), *house.tally.words("bonus-b", run.due))
        return False

    async def said() -> list[Any]:
        rows = await house.pool.fetch("SELECT headers FROM outbox ORDER BY id")
        return [dict(json.loads(row["headers"]))["ce_id"] for row in rows]

    scheduler = await house.begun(Job("note", tells, at=time(4)))
    before = await house.pool.fetchrow("SELECT * FROM schedule")
    assert before is not None
    house.clock.moment += timedelta(days=1)
    await all_done(scheduler)
    first = await said()
    await house.pool.execute("DELETE FROM outbox")
    await house.pool.execute("UPDATE schedule SET next_due = $1", before["next_due"])
    house.clock.moment += timedelta(hours=2)
    await all_done(scheduler)
    assert await said() == first
    assert len(set(first)) == 2


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
                waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                async with house.pool.acquire() as watcher, asyncio.timeout(120):
                    while not await watcher.fetchval(waits):
                        await asyncio.sleep(0)
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


async def test_a_process_that_runs_does_what_comes_due_and_ends_when_it_is_cancelled(house: House) -> None:
    house.clock.moment = datetime.now(UTC)
    done = asyncio.Event()

    async def note(run: Run) -> bool:
        done.set()
        return False

    scheduler = await house.begun(Job("note", note, every=timedelta(minutes=1)))
    house.clock.moment += timedelta(minutes=1)
    running = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(120):
        await done.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
