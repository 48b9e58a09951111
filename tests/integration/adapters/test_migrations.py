"""Rows of earlier versions: what a migration makes of them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from services.adapters.store import Calls
from services.chassis.base.database import open_pool
from services.chassis.base.migrations import migrate
from tests.support.adapters import FOLDER


async def test_notices_that_waited_get_the_key_of_their_volunteer_or_project_and_are_due(
    database: str, tmp_path: Path
) -> None:
    shutil.copy(FOLDER / "0001_calls.sql", tmp_path)
    await migrate(database, tmp_path)
    connection = await asyncpg.connect(database)
    for body in ('{"volunteer_ref": "H-1", "project_ref": "P-1"}', '{"project_ref": "P-1"}', '{"refused_key": "R"}'):
        await connection.execute(
            "INSERT INTO notice (id, own, source, message_id, type, time, body) "
            "VALUES (gen_random_uuid(), true, 's', 'm', 't', now(), $1)",
            body,
        )
    await connection.close()
    await migrate(database, FOLDER)
    pool = await open_pool(database, size=1, application="test")
    try:
        notices = await Calls(pool, "sz").notices(10, datetime.now(UTC), again=True)
    finally:
        await pool.close()
    assert [notice.key for notice in notices] == ["H-1", "P-1", "R"]
