"""Many messages of one subject, set aside behind the first of them: each look takes some of them, not all."""

from __future__ import annotations

from typing import Final

import asyncpg

from services.chassis.base.clock import Clock
from services.chassis.base.migrations import migrate
from services.chassis.batch import set_aside
from services.chassis.batch.set_aside import Aside
from services.chassis.log.records import Record
from tests.support.statements import rows_read, statements
from tests.support.templates import migrations_of

CROWD: Final = 20_000
LIMIT: Final = 100


async def test_a_crowd_behind_one_message_is_read_in_portions_and_never_whole(database: str) -> None:
    """A subject with N rows was read whole for each portion of it: N rows, N / 1000 times."""
    await migrate(database, migrations_of("attendance"))
    db: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database)
    now = Clock().now()
    try:
        rows = [
            Aside(Record("t", 0, n, 0, b"k", [], b"{}"), "behind" if n else "ready", now, "record:aa:r")
            for n in range(CROWD)
        ]
        await set_aside.insert(db, rows)
        await db.execute("ANALYZE set_aside")
        found = await set_aside.rows_of(db, ["t"], {}, LIMIT)
        assert [row.record.offset for row in found] == list(range(2 * LIMIT))
        assert await rows_read(db, set_aside._ROWS, ["t"], [], [], LIMIT) <= 4 * LIMIT
        await set_aside.remove(db, [row.seq for row in found if row.seq is not None])
        with statements(db) as seen:
            await set_aside.unpark(db, ["record:aa:r"])
        assert await rows_read(db, seen[0], ["record:aa:r"]) <= 4
        [head] = await db.fetch("SELECT \"offset\" FROM set_aside WHERE reason = 'ready'")
        assert head[0] == 2 * LIMIT
    finally:
        await db.close()
