"""Rows of earlier versions: what a migration makes of them."""

from __future__ import annotations

import shutil
from hashlib import md5
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from contracts.messages.base import Origin
from services.chassis.base.migrations import migrate
from tests.conftest import NewDatabase
from tests.integration.opportunities.conftest import MIGRATIONS

BEFORE: Final = {"registry": "sz", "message_id": "Sz-volunteer-8841/e1", "message_type": "t"}
WITH_KEY: Final = BEFORE | {"key": "Sz-volunteer-8841"}
MESSAGE: Final = str(UUID(md5(BEFORE["message_id"].encode(), usedforsecurity=False).hexdigest()))
ORIGIN: Final = {"registry": "sz", "message": MESSAGE}
FIRST: Final = "0007_no_keys_of_origins.sql"


async def test_refs_are_taken_out_of_sign_ups_and_of_timers(new_database: NewDatabase, tmp_path: Path) -> None:
    """First the keys of registries' messages, then the ids that registries gave them."""
    for file in MIGRATIONS.glob("0*.sql"):
        if file.name < FIRST:
            shutil.copy(file, tmp_path)
    database = await new_database(migrated=tmp_path)
    db = await asyncpg.connect(database)
    try:
        for number, (origin, asks) in enumerate(
            [(WITH_KEY, []), (WITH_KEY, [["gz", "N2", WITH_KEY], ["gz", "N3", WITH_KEY]]), (BEFORE, [])]
        ):
            await db.execute(
                "INSERT INTO signup (signup_id, person, host, project_ref, shift_ref, starts_at, ends_at, state, asker,"
                " signup_ref, origin, also_asked) VALUES (gen_random_uuid(), gen_random_uuid(), 'gz', 'P1', 'H1',"
                " '2026-07-18T08:00:00Z', '2026-07-18T11:00:00Z', 'confirmed', 'sz', $1, $2, $3)",
                *(f"N{number}", orjson.dumps(origin).decode(), orjson.dumps(asks).decode()),
            )
        await db.execute(
            "INSERT INTO timer VALUES ('line', now(), 'opportunities.commands.v1', 'gz:P1', '', $1)",
            orjson.dumps({"host": "gz", "project_ref": "P1", "shift_ref": "H1", "origin": WITH_KEY}),
        )
        assert (await migrate(database, MIGRATIONS))[0] == f"service/{FIRST}"
        rows = await db.fetch("SELECT origin, also_asked FROM signup ORDER BY signup_ref")
        assert [tuple(map(orjson.loads, row)) for row in rows] == [
            (ORIGIN, []),
            (ORIGIN, [["gz", "N2", ORIGIN], ["gz", "N3", ORIGIN]]),
            (ORIGIN, []),
        ]
        timer = orjson.loads(await db.fetchval("SELECT value FROM timer"))
        assert timer == {"host": "gz", "project_ref": "P1", "shift_ref": "H1", "origin": ORIGIN}
        assert Origin.model_validate(WITH_KEY) == Origin.model_validate(ORIGIN), "as a command of before is read"
    finally:
        await db.close()
