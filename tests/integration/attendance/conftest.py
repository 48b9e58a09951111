"""Attendance on a fresh database, for the tests of its store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.chassis.base.database import Connection
from tests.support.attendance import NOW
from tests.support.attendance_store import AttendanceOnPostgres


@pytest.fixture
async def attendance(database: str) -> AsyncIterator[AttendanceOnPostgres]:
    """Attendance on a fresh database."""
    async with AsyncExitStack() as stack:
        yield await AttendanceOnPostgres.of(stack, database, "attendance", NOW)


@pytest.fixture
def db(attendance: AttendanceOnPostgres) -> Connection:
    """The connection of its batches."""
    return attendance.db
