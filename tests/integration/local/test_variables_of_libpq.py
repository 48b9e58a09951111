"""A shell that is set up for another PostgreSQL: the address given decides alone."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OTHER = {
    "PGSSLMODE": "verify-full", "PGTARGETSESSIONATTRS": "standby", "PGHOST": "db.invalid", "PGPORT": "1",
    "PGUSER": "somebody", "PGDATABASE": "else", "PGPASSFILE": "/nowhere", "PGSERVICE": "prod",
    "PGSSLROOTCERT": "/nowhere",
    "PGSSLNEGOTIATION": "direct", "PGKRBSRVNAME": "x", "PGGSSLIB": "y",
}  # fmt: skip


@pytest.mark.parametrize("module", ["services.identity", "deploy.tryout.sandbox.kafka_native"])
async def test_a_process_reaches_its_own_database(database: str, module: str) -> None:
    told = {"SHUANGCHENG_DATABASE": database, "SHUANGCHENG_REGISTRY": "gz"}
    migration = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "migrate"),
        cwd=ROOT,
        env=dict(os.environ) | OTHER | told,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await migration.communicate()
    assert migration.returncode == 0, said.decode()
