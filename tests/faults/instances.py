"""Several instances of one service: one joins and leaves, one is paused beyond its session, the relay's leader dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from functools import partial
from typing import Final, Literal, TypeAlias

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


How: TypeAlias = Literal["idle", "inside", "ended"]


def instance_cells() -> list[Cell]:
    """A second instance of each service and of the adapter."""
    joins = "a second instance joins while batches run, works, and leaves in order"
    paused = f"SIGSTOP for {_PAUSED_SECONDS:.0f} s, beyond its session, beside a second instance"
    zombies: dict[How, tuple[str, tuple[str, ...]]] = {
        "idle": (f"{paused}; messages come meanwhile", ("opportunities", "attendance", "bridge")),
        "inside": (f"{paused}, inside a transaction", ON_THE_JOURNEY),
        "ended": (f"{paused}, inside a transaction; its sessions are ended", ("attendance", "bridge")),
    }
    failover = "SIGKILL of the relay's leader beside a second instance, which takes over"
    return [
        *(Cell(f"join-{name}", name, joins, partial(_join_and_leave, name), takes=14) for name in ON_THE_JOURNEY),
        *(
            Cell(f"zombie-{how}-{name}", name, fault, partial(_zombie, name, how), takes=25)
            for how, (fault, names) in zombies.items()
            for name in names
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


async def _zombie(name: str, how: How, site: Site, rng: random.Random) -> Outcome:
    """Beyond its session, beside a second instance that gets its partitions; then it wakes and goes on as if nothing
    had been. ``idle``: what comes meanwhile lies in its sockets. ``inside``: it holds the fence of a transaction.
    ``ended``: PostgreSQL ends its sessions, as it does after a minute, and the other does the work.
    """
    planned = plan(rng, 48)
    portions = waves(planned, 4)
    child, sessions = site.child(name), await _sessions(site, name)
    pid = child.pid
    assert pid is not None, "nobody has killed it"
    second = await site.add(name)
    seen = len(child.log.read_bytes())
    await site.publish(portions[0])
    await site.drained()
    checks = {}
    if how == "idle":
        os.kill(pid, signal.SIGSTOP)
        await site.publish(portions[1])
    else:
        checks["paused_inside_a_transaction"] = await _stop_inside_a_transaction(site, name, pid, portions[1])
    try:
        await site.publish(portions[2])
        await asyncio.sleep(_PAUSED_SECONDS)
        if how == "ended":
            await _end(site, await _sessions(site, name) & sessions)
            await site.quiet.until_read(site.stack.specs[name].database, await site.quiet.ends())
        await site.publish(portions[3])
    finally:
        os.kill(pid, signal.SIGCONT)
    begun = time.monotonic()
    await site.drained()
    recovered = time.monotonic() - begun
    judged, notes = await site.judge(planned)
    checks |= judged | {"it_lives_on": child.running and child.pid == pid, "both_ready": await site.all_ready()}
    fenced = child.log.read_bytes()[seen:].count(b"offsets moved on elsewhere")
    await site.remove(second, rng)
    return Outcome(checks, recovered, [f"its batches turned away by the fence: {fenced}", *notes])


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
