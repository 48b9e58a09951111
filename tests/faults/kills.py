"""SIGKILL at every failpoint of every service and adapter on the journey; restart, drain, compare the books."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from functools import partial
from typing import Final

from deploy.demo.lines import Letter
from deploy.local.processes import Child, own_environment
from services.chassis.failpoints import NAMES, Failpoint
from tests.faults.cell import Cell, Outcome
from tests.faults.load import plan, waves
from tests.faults.site import RECOVERY_SECONDS, Site, died

__all__ = ["ON_THE_JOURNEY", "STREAMS", "WHERE", "matrix"]

ON_THE_JOURNEY: Final = ("identity", "opportunities", "attendance", "bridge", "adapter_sz")
WHERE: Final[dict[Failpoint, str]] = {
    "P1": "SIGKILL after fetch",
    "P2": "SIGKILL inside the transaction",
    "P3": "SIGKILL after commit, before the offset hint",
    "P4": "SIGKILL after the outbox was read",
    "P5": "SIGKILL after the broker's ack, before rows are deleted",
    "P6": "SIGKILL before the call to the home's system",
    "P7": "SIGKILL after that call, before its answer is saved",
    "P8": "SIGKILL in the orderly stop",
    "P9": "SIGKILL at start-up and inside a migration",
    "P10": "SIGKILL in a rebalance",
}
_CALLS_NOBODY = "calls no registry's system: this point stands in the adapter's caller alone"
STREAMS: Final = {"bridge": 3, "adapter_sz": 2}
"""Consumer groups of a process, where it has more than one."""
_VISITS, _WAVES = 8, 4
_LIMIT = 25.0


def matrix() -> list[Cell]:
    """Every failpoint × every service and adapter."""
    return [_cell(name, point) for name in ON_THE_JOURNEY for point in NAMES]


def _cell(name: str, point: Failpoint) -> Cell:
    id, fault = f"kill-{name}-{point}", f"{point}: {WHERE[point]}"
    if point in ("P6", "P7") and not name.startswith("adapter_"):
        return Cell(id, name, fault, impossible=_CALLS_NOBODY)
    if point == "P8":
        return Cell(id, name, fault, partial(_in_the_stop, name))
    if point == "P9":
        return Cell(id, name, fault, partial(_at_the_start, name))
    if point == "P10":
        return Cell(id, name, fault, partial(_in_a_rebalance, name), takes=15)
    return Cell(id, name, fault, partial(_at_work, name, point))


async def _at_work(name: str, point: Failpoint, site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, _VISITS)
    child = await site.restart(name, FAILPOINT=f"{point}:{rng.choice((1, 2))}")
    portions = waves(planned, _WAVES)
    gone = await _publish_until_death(site, child, portions)
    gone = gone or await died(child, seconds=_LIMIT)
    await site.publish([one for portion in portions for one in portion])
    outcome = await _recover(site, name, child, gone)
    checks, notes = await site.judge(planned)
    return Outcome(outcome.checks | checks, outcome.recovered_seconds, outcome.notes + notes)


async def _publish_until_death(site: Site, child: Child, portions: list[list[Letter]]) -> float | None:
    """Portion after portion, each taken from the list as it goes, until the process is gone."""
    while portions and child.running:
        await site.publish(portions.pop(0))
        gone = await died(child, seconds=0.3)
        if gone is not None:
            return gone
    return None


async def _recover(site: Site, name: str, child: Child, gone: float | None) -> Outcome:
    """Start the killed process again and wait until all is quiet; the clock runs from its death."""
    killed = gone is not None and child.returncode == -signal.SIGKILL
    if not killed:
        await child.stop()
    begun = gone or time.monotonic()
    await site.stack.start(name)
    is_ready = time.monotonic() - begun
    await site.drained()
    recovered = time.monotonic() - begun
    checks = {"died_there": killed, f"recovered_within_{RECOVERY_SECONDS:.0f}_s": recovered < RECOVERY_SECONDS}
    return Outcome(checks, recovered, [f"ready after {is_ready:.1f} s"])


async def _in_the_stop(name: str, site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, _VISITS)
    child = await site.restart(name, FAILPOINT="P8")
    first, *others = waves(planned, 2)
    await site.publish(first)
    pid = child.pid
    assert pid is not None, "it was ready"
    await asyncio.sleep(rng.uniform(0, 0.3))  # where in its work the stop meets it
    os.kill(pid, signal.SIGTERM)
    gone = await died(child, seconds=_LIMIT)
    await site.publish([one for other in others for one in other])
    outcome = await _recover(site, name, child, gone)
    checks, notes = await site.judge(planned)
    return Outcome(outcome.checks | checks, outcome.recovered_seconds, outcome.notes + notes)


async def _at_the_start(name: str, site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, _VISITS)
    first, second = waves(planned, 2)
    await site.publish(first)
    await site.child(name).stop()
    await site.stack.launch(name, settings={"FAILPOINT": "P9"})
    child = site.child(name)
    gone = await died(child, seconds=_LIMIT)
    await site.publish(second)
    outcome = await _recover(site, name, child, gone)
    checks, notes = await site.judge(planned)
    checks |= await _migration_resumes(site, name)
    return Outcome(outcome.checks | checks, outcome.recovered_seconds, outcome.notes + notes)


async def _migration_resumes(site: Site, name: str) -> dict[str, bool]:
    """A migration killed inside its transaction left nothing of it; the next run completes it."""
    database = f"p9_{name}"
    dsn = await site.stack.postgres.create_database(database)
    killed = await _migrate(site, name, {"DATABASE": dsn, "FAILPOINT": "P9:2"})
    async with site.stack.postgres.connection(database) as inside:
        half = [row[0] for row in await inside.fetch("SELECT name FROM migration ORDER BY applied_at")]
    again = await _migrate(site, name, {"DATABASE": dsn})
    columns = """SELECT table_name, column_name, data_type FROM information_schema.columns
                 WHERE table_schema = 'public' ORDER BY 1, 2"""
    async with site.stack.postgres.connection(database) as inside:
        made = [tuple(row) for row in await inside.fetch(columns)]
    async with site.stack.postgres.connection(site.stack.specs[name].database) as inside:
        wanted = [tuple(row) for row in await inside.fetch(columns)]
    await site.stack.postgres.drop_database(database)
    return {
        "migration_died_there": killed == -signal.SIGKILL,
        "half_a_migration_left_nothing": len(half) == 1,
        "migration_completed_later": again == 0 and made == wanted and bool(made),
    }


async def _migrate(site: Site, name: str, settings: dict[str, str]) -> int:
    spec = site.stack.specs[name]
    job = Child(
        name=f"{name} migrate",
        command=[sys.executable, "-m", spec.module, "migrate"],
        log=site.stack.folder / "logs" / f"{name}.p9.log",
        env=own_environment(site.stack.environment(spec, settings)),
    )
    return await job.run()


async def _in_a_rebalance(name: str, site: Site, rng: random.Random) -> Outcome:
    """It passes twice for each of its groups while it starts; then a second instance joins."""
    planned = plan(rng, _VISITS)
    passed = 2 * STREAMS.get(name, 1)
    child = await site.restart(name, FAILPOINT=f"P10:{passed + rng.choice((1, 2))}")
    early = ["died while it started"] if not child.running else []
    first, second = waves(planned, 2)
    await site.publish(first)
    joining = asyncio.ensure_future(site.add(name))
    gone = await died(child, seconds=_LIMIT)
    await site.publish(second)
    try:
        outcome = await _recover(site, name, child, gone)
    finally:
        joined = await joining
    checks, notes = await site.judge(planned)
    await site.remove(joined, rng)
    return Outcome(outcome.checks | checks, outcome.recovered_seconds, early + outcome.notes + notes)
