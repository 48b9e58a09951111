"""A database that shuts down in order tells its sessions so; who speaks before the line is cut stumbles over it."""

from __future__ import annotations

import asyncpg
import pytest

from services.chassis.base.failures import is_transient
from tests.support.database_line import line_to
from tests.support.waiting import eventually

_FATAL = b"57P01"


async def test_a_session_that_was_told_of_a_shutdown_before_its_line_was_cut_is_a_passing_fault(database: str) -> None:
    """An orderly restart of PostgreSQL ended an adapter for good: what it met was no error of the database's."""
    async with line_to(database) as line:
        session = await asyncpg.connect(line.dsn)
        other = await asyncpg.connect(database)
        try:
            assert await other.fetchval("SELECT pg_terminate_backend($1)", session.get_server_pid())
            await eventually(lambda: _FATAL in line.heard)
            await other.fetchval("SELECT 1")  # a whole round of talk: what the first one was told has come in too
            with pytest.raises(asyncpg.InternalClientError) as met:
                await session.fetchval("SELECT 1")
        finally:
            await other.close()
            session.terminate()
    assert is_transient(met.value)


def test_a_server_that_speaks_another_protocol_is_no_passing_fault() -> None:
    assert not is_transient(asyncpg.exceptions.ProtocolError("unexpected message"))
