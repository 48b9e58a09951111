"""A database with a schedule and processes of one service on it, with a clock that a test moves on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.chassis.base.database import Pool, open_pool
from services.chassis.base.migrations import migrate
from services.chassis.base.settings import Settings
from services.chassis.batch.processing import Processor
from services.chassis.jobs.scheduling import Scheduler
from services.chassis.schedule import Job
from tests.support.clocks import HandClock
from tests.support.naming import SECRET
from tests.support.tally import MIGRATION, Tally

START = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # in Berlin summer time begins the night after
DONE = "CREATE TABLE done (job text, due timestamptz, by text, transaction text, portion serial);"


class House:
    """A database and processes of one service on it. Each has a pool of its own; all have one clock."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.clock = HandClock(START)
        self.tally = Tally("schedule", folder)
        self.pools: list[Pool] = []
        self.pool: Pool

    async def process(self, *jobs: Job) -> Scheduler:
        pool = await open_pool(self.dsn, size=3, application="schedule")
        self.pools.append(pool)
        self.pool = pool
        settings = Settings(profile="test", database=SecretStr(self.dsn), naming_secret=SECRET)
        return Scheduler(Processor(self.tally.service(), settings, self.clock), pool, jobs, asyncio.Event())

    async def begun(self, *jobs: Job) -> Scheduler:
        """A process that has entered its jobs: none is due yet."""
        scheduler = await self.process(*jobs)
        assert await scheduler.once() > 0
        return scheduler

    async def late(self, scheduler: Scheduler) -> float:
        async with self.pool.acquire() as db:
            return (await scheduler.late(db))["note"]

    async def done(self, what: str = "due") -> list[Any]:
        return [row[0] for row in await self.pool.fetch(f"SELECT {what} FROM done ORDER BY portion")]


@contextlib.asynccontextmanager
async def house_of(database: str, folder: Path) -> AsyncIterator[House]:
    """On this empty database."""
    (folder / "0001_total.sql").write_text(MIGRATION + DONE)
    await migrate(database, folder)
    found = House(database, folder)
    try:
        yield found
    finally:
        for pool in found.pools:
            await pool.close()


async def all_done(scheduler: Scheduler) -> None:
    """Do jobs until none is due that this process may do."""
    while await scheduler.once() == 0:
        pass
