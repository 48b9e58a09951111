"""A migrated database with a connection, for the tests of attendance's store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.attendance_store import AttendanceOnPostgres


@pytest.fixture
async def attendance(database: str) -> AttendanceOnPostgres:
    """Attendance on a fresh database."""
    service = AttendanceOnPostgres(database)
    await service.prepare()
    return service


@pytest.fixture
async def db(attendance: AttendanceOnPostgres) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to that database."""
    connection = await asyncpg.connect(attendance.dsn)
    try:
        yield connection
    finally:
        await connection.close()
