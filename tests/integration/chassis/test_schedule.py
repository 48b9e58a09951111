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

from contracts.envelope import decode
from services.chassis.log.records import unpack_headers
from services.chassis.schedule import Job, Run
from tests.support.schedule import START, House, all_done, house_of


@pytest.fixture
async def house(database: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(database, tmp_path) as found:
        yield found


def noted(by: str = "") -> Callable[[Run], Awaitable[bool]]:
    async def note(run: Run) -> bool:
        insert = "INSERT INTO done (job, due, by, transaction) VALUES ('note', $1, $2, pg_current_xact_id()::text)"
        await run.db.execute(insert, run.due, by)
        return False

    return note


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
