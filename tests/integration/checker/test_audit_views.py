"""The public face of a service's database for audits: views that whoever may connect may read, beside closed tables."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from deploy.tryout.local.postgres import Postgres
from services.chassis.base.migrations import migrate
from tests.conftest import NewDatabase
from tests.support.templates import migrations_of

SERVICES: Final = Path(__file__).parents[3] / "services"
NAMES: Final = sorted(folder.parent.name for folder in SERVICES.glob("*/service.py") if folder.parent.name != "chassis")
RELATIONS: Final = """SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind::text = ANY($1) ORDER BY 1"""


@pytest.fixture
async def auditor(postgres: Postgres) -> AsyncIterator[str]:
    """A role that owns nothing, by its name."""
    name = f"auditor_{uuid.uuid4().hex[:12]}"
    async with postgres.connection() as admin:
        await admin.execute(f"CREATE ROLE {name}")
    yield name
    async with postgres.connection() as admin:
        await admin.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("service", NAMES)
async def test_a_role_that_owns_nothing_reads_all_audit_views_of_a_service_and_none_of_its_tables(
    postgres: Postgres, new_database: NewDatabase, auditor: str, service: str
) -> None:
    dsn = await new_database()
    await migrate(dsn, migrations_of(service))
    database = dsn.rpartition("/")[2].removeprefix(postgres.prefix)
    async with postgres.connection(database) as db:
        views = [row[0] for row in await db.fetch(RELATIONS, ["v"]) if row[0].startswith("audit_")]
        tables = [row[0] for row in await db.fetch(RELATIONS, ["r"])]
        assert len(views) > 5
        await db.execute(f"SET ROLE {auditor}")
        for view in views:
            assert await db.fetch(f"TABLE {view}") == []
        for table in tables:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.fetch(f"TABLE {table}")
        with pytest.raises(asyncpg.PostgresError):
            await db.execute(f"DELETE FROM {views[0]}")
