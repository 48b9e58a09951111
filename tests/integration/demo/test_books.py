"""What the demo reads of services: nothing that could not be applied is left out of its figures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from deploy.tryout.demo.books import Books
from services.adapters.store import NOTICES
from services.adapters.worker import Messenger
from tests.conftest import NewDatabase
from tests.support.adapters import adapter, notice_of
from tests.support.registries import offered, own, requested
from tests.support.waiting import eventually


async def test_a_notice_that_a_homes_system_rejected_was_missing_among_the_quarantined(
    new_database: NewDatabase,
) -> None:
    databases: list[str] = []

    async def made(template: str | None = None, *, migrated: Path | None = None) -> str:
        databases.append(await new_database(template, migrated=migrated))
        return databases[-1]

    async with adapter(made, refs=()) as ours, Books({"adapter_sz": databases[1]}, {}, {}) as books:
        assert await books.quarantined() == 0
        good, bad = notice_of(own("sz", offered("H-5"))), notice_of(own("sz", requested("V-5")))
        bad = replace(bad, body={name: value for name, value in bad.body.items() if name != "volunteer_ref"})
        async with ours.pool.acquire() as connection:
            await NOTICES.add(connection, [bad, good])
        messenger = asyncio.create_task(Messenger(ours.pool, ours.system, "sz", lambda: datetime.now(UTC)).session())
        try:

            async def passed_on() -> bool:
                return not await ours.pool.fetchval("SELECT count(*) FROM notice WHERE rejected IS NULL")

            await eventually(passed_on)
        finally:
            messenger.cancel()
        assert await books.quarantined() == 1
