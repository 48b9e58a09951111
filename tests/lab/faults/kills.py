"""SIGKILL at every failpoint of every service and adapter on the journey; restart, drain, compare the books."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from deploy.linkage import SERVICES
from services.chassis.base.failpoints import NAMES, Failpoint
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.migrating import migration_resumes
from tests.lab.faults.sessions import batches_held
from tests.lab.faults.site import Site
from tests.lab.faults.striking import AT_WORK, Strike, begun, recover, strike, struck
from tests.support.processes import died

__all__ = ["ON_THE_JOURNEY", "WHERE", "matrix"]

ON_THE_JOURNEY: Final = (*SERVICES, "adapter_sz")
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
_STREAMS: Final = {"bridge": 3, "adapter_sz": 2}
"""Consumer groups of a process, where it has more than one."""
_LIMIT = 25.0


def matrix() -> list[Cell]:
    """Every failpoint × every service and adapter."""
    return [_cell(name, point) for name in ON_THE_JOURNEY for point in NAMES]


def _cell(name: str, point: Failpoint) -> Cell:
    id, fault = f"kill-{name}-{point}", f"{point}: {WHERE[point]}"
    if point in ("P6", "P7") and not name.startswith("adapter_"):
        return Cell(id, name, fault, impossible=_CALLS_NOBODY)
    if point in AT_WORK:
        return Cell(id, name, fault, partial(_at_work, name, point))
    table: dict[str, tuple[Callable[[str, Site, random.Random], Awaitable[Outcome]], float]] = {
        "P8": (_in_the_stop, 10),
        "P9": (_at_the_start, 12),
        "P10": (_in_a_rebalance, 18),
    }
    act, takes = table[point]
    return Cell(id, name, fault, partial(act, name), takes=takes)


async def _at_work(name: str, point: Failpoint, site: Site, rng: random.Random) -> Outcome:
    return await _judged(site, await strike(name, point, site, rng))


async def _judged(site: Site, done: Strike) -> Outcome:
    """Start it again, say the rest, drain, compare."""
    outcome = await recover(site, done)
    checks, notes = await site.judge(done.stories)
    return Outcome(done.checks | outcome.checks | checks, outcome.recovered_seconds, done.notes + outcome.notes + notes)


async def _in_the_stop(name: str, site: Site, rng: random.Random) -> Outcome:
    stories, waves = await begun(site, name, rng)
    child = await site.restart(name, FAILPOINT="P8")
    done = Strike(name, child, stories, waves)
    await site.publish([*waves.pop(0), *waves.pop(0)])
    pid = child.pid
    assert pid is not None, "it was ready"
    await asyncio.sleep(rng.uniform(0, 0.3))  # where in its work the stop meets it
    os.kill(pid, signal.SIGTERM)
    done.gone = await died(child, seconds=_LIMIT)
    return await _judged(site, done)


async def _at_the_start(name: str, site: Site, rng: random.Random) -> Outcome:
    stories, waves = await begun(site, name, rng)
    await site.child(name).stop()
    await site.publish([*waves.pop(0), *waves.pop(0)])
    child = await site.launch(name, FAILPOINT="P9")
    done = Strike(name, child, stories, waves)
    done.gone = await died(child, seconds=_LIMIT)
    await struck(site, done)
    outcome = await _judged(site, done)
    return Outcome(outcome.checks | await migration_resumes(site, name), outcome.recovered_seconds, outcome.notes)


async def _in_a_rebalance(name: str, site: Site, rng: random.Random) -> Outcome:
    """It passes twice for each of its groups while it starts; then a second instance joins, while batches are held in
    the middle: whatever the machine does, the rebalance meets them there."""
    stories, waves = await begun(site, name, rng)
    passed = 2 * _STREAMS.get(name, 1)
    child = await site.restart(name, FAILPOINT=f"P10:{passed + rng.choice((1, 2))}")
    done = Strike(name, child, stories, waves)
    done.checks["it_had_started"] = child.running
    async with contextlib.AsyncExitStack() as held:
        await held.enter_async_context(batches_held(site, name))
        await site.publish([*waves.pop(0), *waves.pop(0)])
        joining = asyncio.ensure_future(site.add(name))
        try:
            done.gone = await died(child, seconds=_LIMIT)
            await struck(site, done)
            await held.aclose()
            outcome = await _judged(site, done)
        finally:
            joined = await joining
    await site.remove(joined, rng)
    return outcome
