"""Many records and check-ins of one person wait, each for its own sign-up: what comes of others is nothing to them."""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from services.chassis.batch.processing import Processor
from tests.support.attendance import at, attest, check_in, signup
from tests.support.attendance_store import AttendanceOnPostgres

CROWD = 60
Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def test_60_that_wait_are_decided_again_once_each_while_60_sign_ups_come_one_by_one(
    attendance: AttendanceOnPostgres, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = uuid4()
    for number in range(CROWD):
        start, shift, day = at("09:00", number), f"s{number}", at("10:00", number)
        await attendance.apply(
            [check_in(shift, start, person=person), attest(f"r{number}", shift, start, day, person=person)],
        )
    assert await db.fetchval("SELECT count(*) FROM set_aside WHERE reason = 'waiting'") == 2 * CROWD
    decided = 0
    decision = Processor._decision

    def counting(self: Processor, *rest: Any) -> Any:
        nonlocal decided
        decided += 1
        return decision(self, *rest)

    monkeypatch.setattr(Processor, "_decision", counting)
    for number in range(CROWD):
        await attendance.apply([signup(f"s{number}", person=person)])
        while await attendance.member.reenter():
            pass
    assert await db.fetchval("SELECT count(*) FROM set_aside") == 0
    assert await db.fetchval("SELECT count(*) FROM service_record WHERE counted_version = 1") == CROWD
    assert decided == 3 * CROWD  # each sign-up, and what waits for it
