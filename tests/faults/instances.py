"""Several instances of one service: one joins and leaves, one is paused beyond its session, the relay's leader dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from functools import partial
from typing import Final

from deploy.demo.lines import Letter
from tests.faults.cell import Cell, Outcome
from tests.faults.kills import ON_THE_JOURNEY
from tests.faults.load import plan, waves
from tests.faults.site import RECOVERY_SECONDS, Site
from tests.support.waiting import eventually

__all__ = ["instance_cells"]

_PAUSED_SECONDS: Final = 9.0
"""Longer than the session of 6 s, so that its partitions go to the other."""
_FED_FROM_OUTSIDE: Final = {"bridge": 2}
"""Consumer groups that read on while the others wait, where there is more than one."""


def instance_cells() -> list[Cell]:
    """A second instance of each service and of the adapter."""
    joins = "a second instance joins while batches run, works, and leaves in order"
    zombie = f"SIGSTOP inside a transaction for {_PAUSED_SECONDS:.0f} s, beyond its session, beside a second instance"
    two = ("attendance", "bridge")
    failover = "SIGKILL of the relay's leader beside a second instance, which takes over"
    return [
        *(Cell(f"join-{name}", name, joins, partial(_join_and_leave, name), takes=14) for name in ON_THE_JOURNEY),
        *(Cell(f"zombie-{name}", name, zombie, partial(_zombie, name, False), takes=25) for name in ON_THE_JOURNEY),
        *(
            Cell(f"ended-{name}", name, f"{zombie}, and its sessions ended", partial(_zombie, name, True), takes=35)
            for name in two
        ),
        Cell("relay-failover-bridge", "bridge", failover, partial(_failover, "bridge"), takes=20),
        Cell("relay-failover-attendance", "attendance", failover, partial(_failover, "attendance"), takes=20),
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


async def _zombie(name: str, ended: bool, site: Site, rng: random.Random) -> Outcome:
    """Paused in the middle of a transaction that holds the fence; ``ended``: PostgreSQL ends its sessions meanwhile,
    as it does by itself after a minute, so that the second instance does the work and the first finds it done.
    """
    planned = plan(rng, 48)
    portions = waves(planned, 4)
    child = site.child(name)
    pid = child.pid
    assert pid is not None, "nobody has killed it"
    sessions = await _sessions(site, name)
    second = await site.add(name)
    seen = len(site.child(second).log.read_bytes()), len(child.log.read_bytes())
    await site.publish(portions[0])
    await site.drained()
    inside = await _stop_inside_a_transaction(site, name, pid, portions[1])
    try:
        await site.publish(portions[2])
        await asyncio.sleep(_PAUSED_SECONDS)
        if ended:
            await _end(site, await _sessions(site, name) & sessions)
            await site.quiet.until_read(site.stack.specs[name].database, await site.quiet.ends())
        await site.publish(portions[3])
    finally:
        os.kill(pid, signal.SIGCONT)
    begun = time.monotonic()
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    said = [site.child(second).log.read_bytes()[seen[0] :], child.log.read_bytes()[seen[1] :]]
    checks |= {
        "paused_inside_a_transaction": inside,
        "one_of_the_two_was_fenced": any(b"offsets moved on elsewhere" in one or b"rejoin" in one for one in said),
        "it_lives_on": child.running and child.pid == pid,
        "both_ready": await site.all_ready(),
    }
    await site.remove(second, rng)
    return Outcome(checks, recovered, notes)


async def _stop_inside_a_transaction(site: Site, name: str, pid: int, portion: list[Letter]) -> bool:
    """A lock of ours on its inbox holds its next batch behind the fence until it is stopped; then it is let go."""
    database = site.stack.specs[name].database
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state = 'idle in transaction'"
    lanes = 2 * _FED_FROM_OUTSIDE.get(name, 1)  # of both instances
    async with site.stack.postgres.connection() as admin, site.stack.postgres.connection(database) as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            await site.publish(portion)

            async def waiting() -> bool:
                return bool(await admin.fetchval(waits, database) >= lanes)

            await eventually(waiting, 8, every=0.05, what=f"{name} in its transaction")
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.5)
        return bool(await admin.fetchval(idle, database))


async def _sessions(site: Site, name: str) -> set[int]:
    """Sessions that services hold on its database; the harness's own have no name."""
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name <> ''"
    async with site.stack.postgres.connection() as admin:
        return {row[0] for row in await admin.fetch(sql, site.stack.specs[name].database)}


async def _end(site: Site, sessions: set[int]) -> None:
    async with site.stack.postgres.connection() as admin:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS t(pid)", list(sessions))


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
