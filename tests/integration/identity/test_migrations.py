"""Rows of earlier versions: what a migration makes of them."""

from __future__ import annotations

import shutil
from hashlib import md5
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from services.chassis.base.migrations import migrate
from tests.conftest import NewDatabase
from tests.support.templates import migrations_of

MIGRATIONS: Final = migrations_of("identity")
BEFORE: Final = {"registry": "gz", "message_id": "Gz-volunteer-7723/e1", "message_type": "t"}
MESSAGE: Final = str(UUID(md5(BEFORE["message_id"].encode(), usedforsecurity=False).hexdigest()))
ORIGIN: Final = {"registry": "gz", "message": MESSAGE}
LAST: Final = "0006_origins_by_own_ids.sql"


async def test_ids_of_registries_are_taken_out_of_requests_that_stand_and_of_their_timers(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    for file in MIGRATIONS.glob("0*.sql"):
        if file.name < LAST:
            shutil.copy(file, tmp_path)
    database = await new_database(migrated=tmp_path)
    db = await asyncpg.connect(database)
    try:
        await db.execute(
            "INSERT INTO request (request_id, home, home_ref, host, host_ref, code_hash, asked_at, origin)"
            " VALUES ('r1', 'sz', 'S1', 'gz', 'G1', $1, now(), $2)",
            *("a" * 64, orjson.dumps(BEFORE).decode()),
        )
        expire = {"home": "sz", "home_ref": "S1", "host": "gz", "request_id": "r1"}
        await db.execute(
            "INSERT INTO timer VALUES ('request', now(), 'identity.commands.v1', 'sz:S1', '', $1)",
            orjson.dumps(expire | {"origin": BEFORE}),
        )
        assert await migrate(database, MIGRATIONS) == [f"service/{LAST}"]
        assert orjson.loads(await db.fetchval("SELECT origin FROM request")) == ORIGIN
        assert orjson.loads(await db.fetchval("SELECT value FROM timer")) == expire | {"origin": ORIGIN}
    finally:
        await db.close()
