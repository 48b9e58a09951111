"""New rows go by COPY, which asyncpg lets wait for room to write without any limit of time."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.chassis.base.database import add_rows
from services.chassis.base.failures import is_transient
from tests.support.database_line import line_to
from tests.support.waiting import eventually

_LARGE = [(number, bytes(1_000_000)) for number in range(64)]
"""More than all buffers on the way can take."""


async def test_rows_for_a_database_that_reads_no_more_are_given_up_in_time(database: str) -> None:
    async with line_to(database) as line:
        session = await asyncpg.connect(line.dsn)
        other = await asyncpg.connect(database)
        try:
            await other.execute("CREATE TABLE arrived (number bigint, content bytea)")
            await add_rows(session, "arrived", ("number", "content"), _LARGE[:2])
            line.stopped.set()
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError) as met:
                await add_rows(session, "arrived", ("number", "content"), _LARGE, within=1)
            assert is_transient(met.value)
            assert asyncio.get_running_loop().time() - began < 10
            session.terminate()  # as a lane does
            await eventually(lambda: other.fetchval("SELECT count(*) = 2 FROM arrived"))
        finally:
            session.terminate()
            await other.close()


async def test_without_rows_nothing_is_asked_of_the_database(database: str) -> None:
    session = await asyncpg.connect(database)
    await session.close()
    await add_rows(session, "nowhere", ("number",), [])
