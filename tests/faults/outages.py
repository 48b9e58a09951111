"""Broker and database taken away, frozen or starved; all processes stay up and find back by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

import asyncpg

from tests.faults.cell import Cell, Outcome
from tests.faults.load import plan, waves
from tests.faults.site import Site

__all__ = ["outages"]

_VISITS = 12
_FROZEN_SECONDS: Final = 10.0
_STARVED_SECONDS: Final = 6.0

Away = Callable[[Site], "contextlib.AbstractAsyncContextManager[None]"]


def outages() -> list[Cell]:
    """In this order: what the broker may do, then the database."""
    table: list[tuple[str, str, str, Away]] = [
        ("broker-sigkill", "broker", "SIGKILL of the broker, restarted with its data", _broker_killed),
        ("broker-sigstop", "broker", f"SIGSTOP of the broker for {_FROZEN_SECONDS:.0f} s", _broker_frozen),
        ("postgres-sigkill", "postgresql", "SIGKILL of PostgreSQL with all backends, restarted", _database_killed),
        ("postgres-connections", "postgresql", "every session ended and every connection taken", _connections_taken),
    ]
    return [Cell(id, service, fault, partial(_outage, away)) for id, service, fault, away in table]


async def _outage(away: Away, site: Site, rng: random.Random) -> Outcome:
    """One third of the load before, one while it is away, one after; recovered counts from when it is back."""
    planned = plan(rng, _VISITS)
    before, during, after = waves(planned, 3)
    await site.publish(before)
    pids = {name: child.pid for name, child in site.stack.processes.items()}
    publishing: asyncio.Future[None] | None = None
    async with away(site):
        publishing = asyncio.ensure_future(site.publish(during))
    back = time.monotonic()
    await publishing
    await site.publish(after)
    await site.drained()
    recovered = time.monotonic() - back
    checks, notes = await site.judge(planned)
    checks["nobody_died"] = pids == {name: child.pid for name, child in site.stack.processes.items()}
    checks["all_say_ready"] = await site.all_ready()
    return Outcome(checks, recovered, notes)


@contextlib.asynccontextmanager
async def _broker_killed(site: Site) -> AsyncIterator[None]:
    await site.stack.broker.kill()
    try:
        yield
        await asyncio.sleep(1.0)
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
        await asyncio.sleep(_FROZEN_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def _database_killed(site: Site) -> AsyncIterator[None]:
    await site.stack.postgres.kill()
    try:
        yield
        await asyncio.sleep(1.0)
    finally:
        await site.stack.postgres.restart()


@contextlib.asynccontextmanager
async def _connections_taken(site: Site) -> AsyncIterator[None]:
    """Every session of a service is ended, and what is free then is taken as soon as it is free."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    ended = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE pid <> pg_backend_pid() AND datname = ANY($1) AND NOT pid = ANY($2)"""
    async with site.stack.postgres.connection() as admin:
        try:
            await _take_all(site, taken)
            yield
            until = time.monotonic() + _STARVED_SECONDS
            while time.monotonic() < until:
                own = [one.get_server_pid() for one in taken]
                await admin.execute(ended, list(site.stack.dsn), own)
                await _take_all(site, taken)
                await asyncio.sleep(0.2)
        finally:
            for one in taken:
                one.terminate()


async def _take_all(site: Site, taken: list[asyncpg.Connection[asyncpg.Record]]) -> None:
    while True:
        try:
            taken.append(await asyncpg.connect(site.stack.dsn["identity"], timeout=10))
        except asyncpg.TooManyConnectionsError:
            return
