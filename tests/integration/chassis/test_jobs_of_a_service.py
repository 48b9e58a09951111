"""A service with jobs as a process: told in health, killed in the middle, restored."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from deploy.tryout.local.broker import Broker
from services.chassis.schedule import Job, Run
from tests.conftest import NewDatabase
from tests.support.restoring import living, name_of, said_on, twice
from tests.support.rig import Rig
from tests.support.tally import credit
from tests.support.tally_child import TallyChild
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)


def bonus(rig: Rig) -> Job:
    return Job("bonus", rig.tally.bonus, every=SECOND)


async def seen(rig: Rig, ref: str = "bonus-a") -> list[Any]:
    """Deltas of messages, and dues of the job, in the order in which they counted."""
    return list(json.loads(await rig.db.fetchval("SELECT seen FROM total WHERE ref = $1", ref) or "[]"))


def dues(values: list[Any]) -> list[datetime]:
    return [datetime.fromtimestamp(one, UTC) for one in values if one > 1_000_000]


async def given(rig: Rig, count: int) -> None:
    """So many bonuses have been given since now."""
    before = len(dues(await seen(rig)))

    async def so_many() -> bool:
        return len(dues(await seen(rig))) >= before + count

    await eventually(so_many, what=f"{count} bonuses")


async def test_a_job_that_fails_is_told_in_health_and_metrics_and_everything_else_goes_on(rig: Rig) -> None:
    async def fails(run: Run) -> bool:
        raise ValueError("as asked")

    rig.tally.jobs = (Job("fails", fails, every=SECOND), bonus(rig))
    async with rig.running() as runtime:
        await rig.send(credit("bonus-a", 1))

        async def told() -> bool:
            health = await runtime.health()
            why = [one for one in health["why"] if one.startswith("job fails stands for")]
            return bool(why) and "ValueError: as asked" in why[0] and health["jobs_late_seconds"]["fails"] > 0

        await eventually(told, what="the job is told of")
        await given(rig, 2)
        assert runtime._health is not None
        metrics = (await runtime._health.exposition()).decode()
    stands = 'shuangcheng_stands_seconds{part="job fails"} '
    assert float(next(line for line in metrics.splitlines() if line.startswith(stands)).removeprefix(stands)) > 2
    assert 'shuangcheng_stands_seconds{part="job bonus"} 0.0' in metrics
    assert 'shuangcheng_job_late_seconds{job="chassis.prune"} 0.0' in metrics
    assert 'shuangcheng_job_portions_total{job="bonus"}' in metrics


async def test_a_process_that_is_killed_before_the_commit_has_done_nothing_and_the_next_leaves_no_due_out(
    rig: Rig, broker: Broker, tmp_path: Path
) -> None:
    rig.tally.jobs = (bonus(rig),)
    dying = TallyChild(rig, tmp_path, "dying", FAILPOINT="P2:4")
    await dying.start()
    await rig.send(credit("bonus-a", 1))
    await eventually(lambda: not dying.child.running)
    next_one = TallyChild(rig, tmp_path, "next")
    await next_one.start()
    try:
        await given(rig, 2)
    finally:
        await next_one.stop()
    done = dues(await seen(rig))
    assert done == [done[0] + n * SECOND for n in range(len(done))]
    await said_once_for_each_due(rig, broker)


async def said_once_for_each_due(rig: Rig, broker: Broker) -> None:
    assert await rig.db.fetchval("SELECT count(*) FROM outbox") == 0
    assert await rig.aside() == {}
    events = await said_on(broker, rig.tally.outlet.name)
    assert twice(events) == []
    of_jobs = [event for event in events if event.causation is None]
    told = sorted((event.key, event.data.posted_at) for event in of_jobs)  # type: ignore[attr-defined]
    refs = [row[0] for row in await rig.db.fetch("SELECT ref FROM total WHERE ref LIKE 'bonus-%' ORDER BY ref")]
    assert told == [(ref, due) for ref in refs for due in dues(await seen(rig, ref))]


async def test_a_restored_service_does_each_due_where_the_other_life_did_it_and_says_nothing_twice(
    rig: Rig, broker: Broker, new_database: NewDatabase
) -> None:
    rig.tally.jobs = (bonus(rig),)
    async with rig.running():
        await rig.send(credit("bonus-a", 1))
        await given(rig, 2)
    dsn = rig.settings.database.get_secret_value()
    await rig.db.close()
    dump = await new_database(name_of(dsn))
    rig.db = await asyncpg.connect(dsn)
    async with rig.running():
        await given(rig, 1)
        await rig.send(credit("bonus-b", 1))
        await given(rig, 2)
        await rig.send(*[credit("bonus-a", n) for n in range(2, 5)])
        await given(rig, 2)
        await rig.send(credit("bonus-a", 5), credit("bonus-b", 5))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 7 FROM inbox"))
    before = {ref: await seen(rig, ref) for ref in ("bonus-a", "bonus-b")}
    await rig.db.close()
    rig.settings = rig.settings.model_copy(update={"database": SecretStr(dump)})
    rig.db = await asyncpg.connect(dump)
    async with living(rig.tally.service(), rig.settings):
        await given(rig, 1)
    for ref, values in before.items():
        assert (await seen(rig, ref))[: len(values)] == values, ref
    await said_once_for_each_due(rig, broker)
