"""Attendance on a fresh database, for the tests of its store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.chassis.base.database import Connection
from tests.conftest import NewDatabase
from tests.support.attendance import NOW
from tests.support.attendance_store import AttendanceOnPostgres
from tests.support.templates import migrations_of


@pytest.fixture
async def database(new_database: NewDatabase) -> str:
    """The DSN of a fresh database of attendance."""
    return await new_database(migrated=migrations_of("attendance"))


@pytest.fixture
async def attendance(database: str) -> AsyncIterator[AttendanceOnPostgres]:
    """Attendance on a fresh database."""
    async with AsyncExitStack() as stack:
        yield await AttendanceOnPostgres.of(stack, database, "attendance", NOW)


@pytest.fixture
def db(attendance: AttendanceOnPostgres) -> Connection:
    """The connection of its batches."""
    return attendance.db
