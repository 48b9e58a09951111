"""Rows of earlier versions: what a migration makes of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import asyncpg
import orjson

from services.chassis.base.migrations import migrate
from tests.conftest import NewDatabase
from tests.support.bridge_messages import HOME, HOME_REF, HOST, PERSON, T0, record
from tests.support.templates import migrations_of

MIGRATIONS = migrations_of("bridge")


async def test_a_number_of_unanswered_attempts_becomes_the_last_of_them(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    database = await new_database()
    shutil.copy(MIGRATIONS / "0001_create_border.sql", tmp_path)
    await migrate(database, tmp_path)
    connection = await asyncpg.connect(database)
    try:
        body = orjson.dumps(record().model_dump(mode="json")).decode()
        for number, (attempts, unanswered) in enumerate([(0, 0), (1, 1), (4, 2), (3, 0)]):
            state = "sent" if unanswered else "queued"
            await connection.execute(
                "INSERT INTO service_record VALUES ($1, $2, $3, $4, $5, 'confirmed', NULL, 60, 1, 60, 0, NULL)",
                *(HOST, f"R{number}", PERSON, HOME, body),
            )
            await connection.execute(
                "INSERT INTO transfer VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, 1, $6, 60, 60, $7, NULL, $8, $9, "
                "false, $10)",
                *(HOST, f"R{number}", PERSON, HOME, HOME_REF, body, state, attempts, unanswered, T0),
            )
        await migrate(database, MIGRATIONS)
        rows = await connection.fetch("SELECT unanswered FROM transfer ORDER BY record_ref")
        assert [orjson.loads(row[0]) for row in rows] == [[], [1], [3, 4], []]
    finally:
        await connection.close()
