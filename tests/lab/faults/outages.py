"""Broker and database taken away, frozen or starved; all processes stay up and find back by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import asyncpg

from services.chassis.base.persistent import cancel_all
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import waves
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site

__all__ = ["outages"]

_VISITS = 12
_FROZEN_SECONDS: Final = 10.0
_STARVED_SECONDS: Final = 6.0


@dataclass(frozen=True)
class Away:
    """One way of being away. ``begin`` is an async context: away while it is open. ``seconds``: so long.

    ``proof``: words of which a service says one meanwhile, or, for the broker, that nothing can be published.
    """

    begin: Callable[[Site], contextlib.AbstractAsyncContextManager[None]]
    seconds: float
    proof: tuple[bytes, ...] | Literal["nothing can be published"]
    killed: bool = False


def outages() -> list[Cell]:
    """In this order: what the broker may do, then the database."""
    silent: Literal["nothing can be published"] = "nothing can be published"
    cut = (b"batch failed, tried again", b"relay interrupted", b"calling interrupted")
    table: list[tuple[str, str, str, Away, float]] = [
        (
            "broker-sigkill",
            "broker",
            "SIGKILL of the broker, restarted with its data",
            Away(_broker_killed, 1.0, silent, killed=True),
            25,
        ),
        (
            "broker-sigstop",
            "broker",
            f"SIGSTOP of the broker for {_FROZEN_SECONDS:.0f} s",
            Away(_broker_frozen, _FROZEN_SECONDS, silent),
            18,
        ),
        (
            "postgres-sigkill",
            "postgresql",
            "SIGKILL of PostgreSQL with all backends, restarted",
            Away(_database_killed, 1.0, cut, killed=True),
            10,
        ),
        ("postgres-restart", "postgresql", "orderly restart of PostgreSQL", Away(_database_restarted, 0.0, cut), 10),
        (
            "postgres-connections",
            "postgresql",
            "every session ended and every connection taken",
            Away(_connections_taken, _STARVED_SECONDS, (b"53300",)),
            20,
        ),
    ]
    return [Cell(id, service, fault, partial(_outage, away), takes=takes) for id, service, fault, away, takes in table]


async def _outage(away: Away, site: Site, rng: random.Random) -> Outcome:
    """One third of the load before, one while it is away, one after; recovered counts from when it is back."""
    stories = plan(rng, _VISITS)
    before, during, after = waves(stories, 3)
    await site.publish(before)
    pids = {name: child.pid for name, child in site.stack.processes.items()}
    seen = _logs(site)
    async with away.begin(site):
        publishing = asyncio.ensure_future(site.publish(during))
        await asyncio.sleep(away.seconds)
        held_up = not publishing.done()
    back = time.monotonic()
    await publishing
    await site.publish(after)
    await site.drained()
    recovered = time.monotonic() - back
    checks, notes = await site.judge(stories)
    checks["nobody_died"] = pids == {name: child.pid for name, child in site.stack.processes.items()}
    checks["all_say_ready"] = await site.all_ready()
    if isinstance(away.proof, str):
        checks["it_was_away"] = held_up
    else:
        said = _said(site, seen)
        checks["it_was_away"] = any(word in text for text in said.values() for word in away.proof)
    if away.killed:
        checks |= site.in_time("recovered", recovered)
    return Outcome(checks, recovered, notes)


def _logs(site: Site) -> dict[str, int]:
    return {name: len(child.log.read_bytes()) for name, child in site.stack.processes.items()}


def _said(site: Site, seen: Mapping[str, int]) -> dict[str, bytes]:
    """What each process has logged since."""
    return {name: site.child(name).log.read_bytes()[length:] for name, length in seen.items()}


@contextlib.asynccontextmanager
async def _broker_killed(site: Site) -> AsyncIterator[None]:
    await site.stack.broker.kill()
    try:
        yield
    finally:
        await site.stack.broker.restart()


@contextlib.asynccontextmanager
async def _broker_frozen(site: Site) -> AsyncIterator[None]:
    pid = site.stack.broker.pid
    if pid is None:
        raise NotImplementedError(f"a broker of kind '{site.stack.broker.kind}' cannot be stopped from here")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def _database_killed(site: Site) -> AsyncIterator[None]:
    await site.stack.postgres.kill()
    try:
        yield
    finally:
        await site.stack.postgres.restart()


@contextlib.asynccontextmanager
async def _database_restarted(site: Site) -> AsyncIterator[None]:
    """A fast shutdown, as an upgrade does: sessions are told, transactions under way are rolled back."""
    yield
    await site.stack.postgres.restart()


@contextlib.asynccontextmanager
async def _connections_taken(site: Site) -> AsyncIterator[None]:
    """Every session of a service is ended, again and again, and what is free then is taken as soon as it is free."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    async with site.stack.postgres.connection() as admin:
        taking = asyncio.ensure_future(_keep_taking(site, admin, taken))
        try:
            yield
        finally:
            await cancel_all([taking])
            for one in taken:
                one.terminate()


async def _keep_taking(
    site: Site, admin: asyncpg.Connection[asyncpg.Record], taken: list[asyncpg.Connection[asyncpg.Record]]
) -> None:
    ended = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                 AND datname = ANY($1) AND NOT pid = ANY($2)"""
    while True:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                taken.append(await asyncpg.connect(site.stack.dsn["identity"], timeout=10))
        await admin.execute(ended, list(site.stack.dsn), [one.get_server_pid() for one in taken])
        await asyncio.sleep(0.2)
