"""A process whose database is put back while it runs does nothing on the older one: it stops, the next finds out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.tryout.local import folders
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.local.postgres_embedded import EmbeddedPostgres
from services.chassis.base.database import FAILURES, Pool
from services.chassis.base.settings import Settings
from services.chassis.log.positions import SetBack
from services.chassis.process.same_database import SameDatabase
from tests.conftest import NewDatabase
from tests.support.restoring import living, name_of, said_on, twice
from tests.support.rig import Rig
from tests.support.tally import credit
from tests.support.waiting import eventually

_RELAY = 0x5C_03


async def swapped(postgres: Postgres, present: str, dump: str) -> None:
    """Sessions end, and whoever connects again finds the older database under the name."""
    async with postgres.connection() as admin:
        await admin.execute(f'ALTER DATABASE "{present}" ALLOW_CONNECTIONS false')
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", present)

        async def free() -> bool:
            there = "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY($1)"
            return not await admin.fetchval(there, [present, dump])

        await eventually(free)
        async with admin.transaction():
            await admin.execute(f'ALTER DATABASE "{present}" RENAME TO "{present}_before"')
            await admin.execute(f'ALTER DATABASE "{dump}" RENAME TO "{present}"')


async def test_a_process_that_finds_an_older_database_when_it_connects_again_does_nothing_there(
    rig: Rig, broker: Broker, postgres: Postgres, new_database: NewDatabase
) -> None:
    """What relays on it would move ``said`` behind what the later life said, so that nobody found out any more."""
    dsn = rig.settings.database.get_secret_value()
    await rig.db.execute("SELECT pg_advisory_lock($1)", _RELAY)
    async with rig.running():
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM outbox"))
    await rig.db.close()
    dump = name_of(await new_database(name_of(dsn)))
    found: set[int] = set()
    totals: list[int | None] = []

    async def worker(pool: Pool, settings: Settings, committed: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(*FAILURES, SetBack):
                found.add(await pool.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()"))
            await asyncio.sleep(0.01)

    service = dataclasses.replace(rig.tally.service(), workers=(worker,))

    async def life() -> None:
        async with living(service, rig.settings) as runtime:
            rig.db = await asyncpg.connect(dsn)
            await rig.send(*[credit("v", n) for n in range(2, 7)])
            await eventually(lambda: rig.db.fetchval("SELECT count(*) = 6 FROM inbox"))
            await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))
            totals.append(await rig.total("v"))
            await rig.db.close()
            await swapped(postgres, name_of(dsn), dump)
            await eventually(runtime.stopping.is_set)

    with pytest.raises(SetBack, match="start again"):
        await life()
    assert len(found) == 1
    rig.db = await asyncpg.connect(dsn)
    assert await rig.db.fetchval("SELECT count(*) FROM outbox") == 1
    async with living(rig.tally.service(), rig.settings.model_copy(update={"database": SecretStr(dsn)})):
        assert [await rig.total("v")] == totals
    assert twice(await said_on(broker, rig.tally.outlet.name)) == []
    async with postgres.connection() as admin:
        await admin.execute(f'DROP DATABASE "{name_of(dsn)}_before"')


async def test_a_server_that_was_killed_and_started_again_has_the_same_databases() -> None:
    """What it had not flushed is gone, and no sign of another database."""
    server = EmbeddedPostgres(await asyncio.to_thread(folders.new_run_folder, "test") / "postgresql")
    await server.start()
    changed: list[Exception] = []
    same = SameDatabase(changed.append)
    try:
        dsn = await server.create_database("one")
        db = await asyncpg.connect(dsn)
        await db.execute("SET synchronous_commit = off")
        await db.execute("CREATE TABLE written AS SELECT generate_series(1, 100000) AS number")
        for _ in range(20):
            await db.execute("INSERT INTO written SELECT generate_series(1, 100)")
            await same.check(db)
        await server.kill()
        await server.restart()
        db = await asyncpg.connect(dsn)
        await same.check(db)
        await db.close()
        other = await asyncpg.connect(await server.create_database("two"))
        with pytest.raises(SetBack):
            await same.check(other)
        await other.close()
    finally:
        await server.stop()
    assert len(changed) == 1
