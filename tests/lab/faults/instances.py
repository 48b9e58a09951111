"""Several instances of one service: one joins and leaves, one is paused beyond its session, the relay's leader dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, Literal, TypeAlias

from deploy.operate.lines import Letter
from services.chassis.base.persistent import cancel_all
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.kills import ON_THE_JOURNEY
from tests.lab.faults.load import letters, waves
from tests.lab.faults.scenes import plan
from tests.lab.faults.sessions import batches_held, of_process
from tests.lab.faults.site import RECOVERY_SECONDS, Site
from tests.support.waiting import eventually

__all__ = ["instance_cells"]

_EXPELLED_SECONDS: Final = 20.0
"""A session is 6 s; then its partitions go to the other."""
_FED_FROM_OUTSIDE: Final = {"bridge": 2}
"""Consumer groups that read on while the others wait, where there is more than one."""
_BIT, _PAUSE = 6, 0.15
"""So many letters at a time while an instance joins and leaves, and seconds between them."""

_STARTED_AT_ONCE: Final = ("attendance", "bridge")
_THROWN_OUT: Final = (b"member_id was not recognized", b"FencedInstanceId", b"UnknownMemberId")

How: TypeAlias = Literal["idle", "inside", "ended"]


def instance_cells() -> list[Cell]:
    """A second instance of each service and of the adapter."""
    joins = "a second instance joins while batches run, works, and leaves in order"
    paused = "SIGSTOP beside a second instance until its session is over and its partitions are the other's"
    zombies: dict[How, tuple[str, tuple[str, ...]]] = {
        "idle": (f"{paused}; what comes meanwhile is applied there", ON_THE_JOURNEY),
        "inside": (f"{paused}, inside a transaction", ON_THE_JOURNEY),
        "ended": (f"{paused}, inside a transaction; its sessions are ended", ("attendance", "bridge")),
    }
    at_once = "two instances with the same settings start at the same moment, and neither is told a number"
    failover = "SIGKILL of the relay's leader beside a second instance, which takes over"
    return [
        *(Cell(f"join-{name}", name, joins, partial(_join_and_leave, name), takes=18) for name in ON_THE_JOURNEY),
        *(
            Cell(f"zombie-{how}-{name}", name, fault, partial(_zombie, name, how), takes=22)
            for how, (fault, names) in zombies.items()
            for name in names
        ),
        *(Cell(f"same-number-{name}", name, at_once, partial(_at_once, name), takes=20) for name in _STARTED_AT_ONCE),
        Cell("relay-failover-bridge", "bridge", failover, partial(_failover, "bridge"), takes=20),
        Cell("relay-failover-attendance", "attendance", failover, partial(_failover, "attendance"), takes=20),
    ]


async def _join_and_leave(name: str, site: Site, rng: random.Random) -> Outcome:
    """While it joins, while it works and while it leaves, messages keep coming a few at a time."""
    stories = plan(rng, 32)
    said = letters(stories)
    third = len(said) // 3
    before = await site.applied(name)
    async with _coming(site, said[:third]):
        second = await site.add(name)
        await _both_work(site, name)
        meanwhile = await site.applied(name) - before
    async with _coming(site, said[third : 2 * third]):
        of_second = await _eventually_applied(site, second)
    async with _coming(site, said[2 * third :]) as left:
        begun, still = time.monotonic(), len(left)
        await site.child(second).stop()
        came = still - len(left)
        in_order = site.child(second).returncode == 0
    await site.drained()
    recovered = time.monotonic() - begun
    await site.forget(second)
    checks, notes = await site.judge(stories)
    checks |= {
        "the_first_worked_while_it_joined": meanwhile > 0,
        "the_second_worked": of_second > 0,
        "messages_came_while_it_left": came > 0,
        "left_in_order": in_order,
        "all_say_ready": await site.all_ready(),
    }
    return Outcome(checks, recovered, [f"applied by the second at the first look: {of_second}", *notes])


async def _at_once(name: str, site: Site, rng: random.Random) -> Outcome:
    """Each takes a number of its own, they share the work, and neither throws the other out."""
    stories = plan(rng, 24)
    first, other = waves(stories, 2)
    second = site.second(name)
    await site.child(name).stop()
    await site.publish(first)
    begun = time.monotonic()
    await asyncio.gather(site.start(name), site.stack.start(second))
    children = site.child(name), site.child(second)
    await _both_work(site, name)
    seen = [len(child.log.read_bytes()) for child in children]
    await site.publish(other)
    await site.drained()
    recovered = time.monotonic() - begun
    said = b"".join(child.log.read_bytes()[start:] for child, start in zip(children, seen, strict=True))
    checks, notes = await site.judge(stories)
    checks |= {
        "nobody_was_thrown_out": not any(words in said for words in _THROWN_OUT),
        "both_ready": await site.all_ready(),
    }
    await site.remove(second, rng)
    return Outcome(checks, recovered, notes)


@contextlib.asynccontextmanager
async def _coming(site: Site, said: list[Letter]) -> AsyncIterator[list[Letter]]:
    """Publish these a few at a time, and at the end what is left. Gives what is left."""
    left = list(said)
    coming = asyncio.ensure_future(_bit_by_bit(site, left))
    try:
        yield left
    finally:
        await cancel_all([coming])
    await site.publish(left)  # what was under way when it was cancelled among it: said twice is said once


async def _bit_by_bit(site: Site, left: list[Letter]) -> None:
    while left:
        await asyncio.shield(site.publish(left[:_BIT]))
        del left[:_BIT]
        await asyncio.sleep(_PAUSE)


async def _both_work(site: Site, name: str) -> None:
    async def shared() -> bool:
        share = await site.shares(name)
        return bool(share.get(0) and share.get(1))

    await eventually(shared, every=0.2, what=f"partitions of {name} with both instances")


async def _eventually_applied(site: Site, name: str, before: int = 0) -> int:
    """How many messages a process has applied, as soon as they are more than ``before``; its input passes others."""

    async def more() -> int:
        applied = await site.applied(name)
        return applied if applied > before else 0

    try:
        return int(await eventually(more, 8, every=0.1))
    except AssertionError:
        return before


async def _zombie(name: str, how: How, site: Site, rng: random.Random) -> Outcome:
    """Beyond its session, beside a second instance that gets its partitions; then it wakes and goes on as if nothing
    had been. ``idle``: what comes meanwhile lies in its sockets too. ``inside``: it holds the fence of a transaction.
    ``ended``: PostgreSQL ends its sessions, as it does after a minute, and the other does the work.
    """
    stories = plan(rng, 32)
    portions = waves(stories, 4)
    child = site.child(name)
    pid = child.pid
    assert pid is not None, "nobody has killed it"
    second = await site.add(name)
    await _both_work(site, name)
    seen = len(child.log.read_bytes())
    await site.publish(portions[0])
    await site.drained()
    checks = {}
    own = await of_process(site, name, pid)
    if how == "idle":
        os.kill(pid, signal.SIGSTOP)
        await site.publish(portions[1])
    else:
        checks["paused_inside_a_transaction"] = await _stop_inside_a_transaction(site, name, pid, own, portions[1])
    try:
        await site.publish(portions[2])
        checks["its_partitions_moved"] = await _moved(site, name)
        if how == "ended":
            await _end(site, own)
        if how != "inside":
            before = await site.applied(second)
            await site.publish(portions[3])
            checks["the_other_did_its_work"] = await _eventually_applied(site, second, before) > before
        else:
            await site.publish(portions[3])
    finally:
        os.kill(pid, signal.SIGCONT)
    begun = time.monotonic()
    await site.drained()
    recovered = time.monotonic() - begun
    judged, notes = await site.judge(stories)
    checks |= judged | {"it_lives_on": child.running and child.pid == pid, "both_ready": await site.all_ready()}
    fenced = child.log.read_bytes()[seen:].count(b"offsets moved on elsewhere")
    await site.remove(second, rng)
    return Outcome(checks, recovered, [f"its batches turned away by the fence: {fenced}", *notes])


async def _moved(site: Site, name: str) -> bool:
    """Whether in time all partitions are the second instance's, as the broker says."""

    async def moved() -> bool:
        share = await site.shares(name)
        return set(share) == {1} and len(share[1]) == len(await site.reads(name))

    try:
        return bool(await eventually(moved, _EXPELLED_SECONDS, every=0.2))
    except AssertionError:
        return False


async def _stop_inside_a_transaction(site: Site, name: str, pid: int, own: set[int], portion: list[Letter]) -> bool:
    """A lock of ours on its inbox holds its next batch behind the fence until it is stopped; then it is let go."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1) AND wait_event_type = 'Lock'"
    # A session in a COPY is active, and waits for its client.
    idle = """
SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1) AND wait_event = 'ClientRead'
   AND state IN ('idle in transaction', 'active')
"""
    async with site.stack.postgres.connection() as admin:
        async with batches_held(site, name):
            await site.publish(portion)

            async def waiting() -> bool:
                return bool(await admin.fetchval(waits, list(own)) >= _FED_FROM_OUTSIDE.get(name, 1))

            await eventually(waiting, every=0.05, what=f"{name} in its transaction")
            os.kill(pid, signal.SIGSTOP)

        async def inside() -> bool:
            return bool(await admin.fetchval(idle, list(own)))

        try:
            return bool(await eventually(inside, 5, every=0.05))
        except AssertionError:
            return False


async def _end(site: Site, sessions: set[int]) -> None:
    async with site.stack.postgres.connection() as admin:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS t(pid)", list(sessions))


async def _failover(name: str, site: Site, rng: random.Random) -> Outcome:
    """The first instance leads, for it was there first."""
    stories = plan(rng, 16)
    first, other = waves(stories, 2)
    second = await site.add(name)
    roles = {one: (await site.health(one))["relay"] for one in (name, second)}
    await site.publish(first)
    await asyncio.sleep(rng.uniform(0.1, 0.5))  # where in its work the kill meets it
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
    checks, notes = await site.judge(stories)
    await site.start(leader)
    await site.remove(second, rng)
    checks |= site.in_time("recovered", recovered) | {
        "one_led": sorted(roles.values()) == ["leading", "standing by"],
        "the_other_took_over": took_over,
    }
    return Outcome(checks, recovered, [*notes, f"the other led after {leading_after:.1f} s"])
