"""Several instances of one service: one joins and leaves, one is paused beyond its session, the relay's leader dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from functools import partial
from typing import Final

from tests.faults.cell import Cell, Outcome
from tests.faults.kills import ON_THE_JOURNEY
from tests.faults.load import plan, waves
from tests.faults.site import RECOVERY_SECONDS, Site

__all__ = ["instance_cells"]

_PAUSED_SECONDS: Final = 9.0
"""Longer than the session of 6 s, so that its partitions go to the other."""


def instance_cells() -> list[Cell]:
    """A second instance of each service and of the adapter."""
    joins = "a second instance joins while batches run, works, and leaves in order"
    zombie = f"SIGSTOP for {_PAUSED_SECONDS:.0f} s, beyond its session, beside a second instance; then SIGCONT"
    failover = "SIGKILL of the relay's leader beside a second instance, which takes over"
    return [
        *(Cell(f"join-{name}", name, joins, partial(_join_and_leave, name)) for name in ON_THE_JOURNEY),
        *(Cell(f"zombie-{name}", name, zombie, partial(_zombie, name)) for name in ON_THE_JOURNEY),
        Cell("relay-failover-bridge", "bridge", failover, partial(_failover, "bridge")),
        Cell("relay-failover-attendance", "attendance", failover, partial(_failover, "attendance")),
    ]


async def _join_and_leave(name: str, site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, 16)
    portions = waves(planned, 4)
    await site.publish(portions[0])
    joining = asyncio.ensure_future(site.add(name))
    await site.publish(portions[1])
    second = await joining
    await site.publish(portions[2])
    await site.drained()
    worked = await site.all_ready()
    await site.publish(portions[3])
    begun = time.monotonic()
    await site.child(second).stop()
    left = site.child(second).returncode == 0
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    return Outcome(checks | {"both_ready": worked, "left_in_order": left}, recovered, notes)


async def _zombie(name: str, site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, 16)
    portions = waves(planned, 4)
    second = await site.add(name)
    await site.publish(portions[0])
    await site.drained()
    child = site.child(name)
    pid = child.pid
    assert pid is not None, "it was ready"
    await site.publish(portions[1])
    await asyncio.sleep(rng.uniform(0, 0.4))  # where in its work the pause meets it
    os.kill(pid, signal.SIGSTOP)
    try:
        await site.publish(portions[2])
        await asyncio.sleep(_PAUSED_SECONDS)
        await site.publish(portions[3])
    finally:
        os.kill(pid, signal.SIGCONT)
    begun = time.monotonic()
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    checks |= {"it_lives_on": child.running and child.pid == pid, "both_ready": await site.all_ready()}
    await site.remove(second, rng)
    return Outcome(checks, recovered, notes)


async def _failover(name: str, site: Site, rng: random.Random) -> Outcome:
    """The first instance leads, for it was there first."""
    planned = plan(rng, 16)
    first, other = waves(planned, 2)
    second = await site.add(name)
    roles = {one: (await site.health(one))["relay"] for one in (name, second)}
    await site.publish(first)
    await asyncio.sleep(rng.uniform(0.1, 0.5))
    leader = name if roles[name] == "leading" else second
    follower = second if leader == name else name
    child = site.child(leader)
    child.kill()
    await child.wait()
    begun = time.monotonic()
    await site.publish(other)
    took_over = await site.says(follower, "relay", "leading", seconds=RECOVERY_SECONDS)
    leading_after = time.monotonic() - begun
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    await site.stack.start(leader)
    await site.remove(second, rng)
    checks |= {
        "one_led": sorted(roles.values()) == ["leading", "standing by"],
        "the_other_took_over": took_over,
        f"recovered_within_{RECOVERY_SECONDS:.0f}_s": recovered < RECOVERY_SECONDS,
    }
    return Outcome(checks, recovered, [*notes, f"the other led after {leading_after:.1f} s"])
