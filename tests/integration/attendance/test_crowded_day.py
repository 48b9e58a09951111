"""One person's day with more records than anybody serves, of a host's client that loops: nobody else's day waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from contracts.ids import signup_id
from contracts.messages import Message
from contracts.messages.attendance import AttestService, CommandRefused
from contracts.topics import ATTENDANCE_COMMANDS
from services.attendance.rules import RECORDS_A_DAY
from services.attendance.states import Standing
from services.attendance.store import RECORDS
from services.attendance.working_copy import WorkingCopy
from services.chassis.base.database import Batch
from services.chassis.decisions import Inbound, States
from tests.support.attendance import MONDAY, PROJECT, at, attest, check_in, event_of, signup, told
from tests.support.attendance_store import AttendanceOnPostgres

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
CROWD = 400


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a record was compared with what counts, by record."""
    counted: Counter[str] = Counter()
    obstacle = WorkingCopy.obstacle

    def counting(self: WorkingCopy, row: Standing, *rest: Any) -> Any:
        counted[row.record_ref] += 1
        return obstacle(self, row, *rest)

    monkeypatch.setattr(WorkingCopy, "obstacle", counting)
    return counted


async def crowded(attendance: AttendanceOnPostgres, db: Db, person: UUID, *, host: str = "aa") -> None:
    """A day from before there was a limit: one record counts, all others are held as its duplicates."""
    who: dict[str, Any] = {"person": person, "host": host}
    await attendance.apply([signup("s1", **who), check_in("s1", at("08:00"), **who)])
    await attendance.apply([attest("counts", "s1", at("09:00"), at("17:00"), **who)])
    row = (await RECORDS.fetch(db, "SELECT service_record.* FROM service_record WHERE person = $1", person))[0]
    double = replace(
        row,
        held_for="duplicate",
        counted_version=None,
        counted_signup=None,
        counted_from=None,
        counted_to=None,
        counted_minutes=None,
    )
    await RECORDS.add(
        db,
        [
            replace(
                double, record_ref=f"d{n}", body=double.body.replace('"counts"', f'"d{n}"'), attested_at=at("18:00")
            )
            for n in range(CROWD)
        ],
    )


async def test_a_host_gets_50_records_of_a_persons_day_in_and_hears_of_the_others_that_they_are_too_many(
    attendance: AttendanceOnPostgres, db: Db
) -> None:
    person = uuid4()
    who: dict[str, Any] = {"person": person}
    await attendance.apply([signup("s1", **who), check_in("s1", at("08:00"), **who)])
    many = [attest(f"r{n}", "s1", at("09:00"), at("10:00"), **who) for n in range(RECORDS_A_DAY + 10)]
    for start in range(0, len(many), 20):  # the limit holds within a batch and over batches
        await attendance.apply(many[start : start + 20])
    assert await db.fetchval("SELECT count(*) FROM service_record") == RECORDS_A_DAY
    refused = [message for message in await attendance.said() if isinstance(message, CommandRefused)]
    assert [(one.reason, one.origin) for one in refused] == [
        ("too_many_records", message.origin) for message in many[RECORDS_A_DAY:] if isinstance(message, AttestService)
    ]


async def test_versions_other_hosts_other_days_and_other_persons_are_never_too_many(
    attendance: AttendanceOnPostgres, db: Db
) -> None:
    person, other = uuid4(), uuid4()
    who: dict[str, Any] = {"person": person}
    await attendance.apply([attest(f"r{n}", "s1", at("09:00"), at("10:00"), **who) for n in range(50)], patient=False)
    await attendance.said()
    await attendance.apply(
        [
            attest("r7", "s1", at("09:00"), at("11:00"), version=2, **who),
            attest("r8", "s1", at("09:00"), at("11:00"), version=2, revoked=True, **who),
            attest("x", "s1", at("09:00"), at("10:00"), **who, host="bb"),
            attest("y", "s1", at("09:00", 1), at("10:00", 1), **who),
            attest("y", "s1", at("09:00"), at("10:00"), version=2, **who),
            attest("z", "s1", at("09:00"), at("10:00"), person=other),
            attest("new", "s1", at("09:00"), at("10:00"), **who),
        ],
        patient=False,
    )
    assert list(told(await attendance.said())) == [
        "held r7v2 no_signup",
        "revoked r8v2",
        "held xv1 no_signup",
        "held yv1 no_signup",
        "held yv2 no_signup",
        "held zv1 no_signup",
        "refused too_many_records",
    ]


async def test_corrections_on_a_crowded_day_look_at_what_they_free_and_not_at_everything_that_is_held(
    attendance: AttendanceOnPostgres, db: Db, looks: Counter[str]
) -> None:
    """8,000 records of one volunteer's day and 150 corrections kept attendance busy for more than 317 s, for nobody."""
    person, others = uuid4(), [uuid4() for _ in range(8)]
    await crowded(attendance, db, person)
    evidence: list[Message] = []
    for one in others:
        evidence += [signup("s1", person=one), check_in("s1", at("08:00"), person=one)]
    await attendance.apply(evidence)
    corrections: list[Message] = [
        attest("counts", "s1", at("09:00"), at(f"16:{59 - n}"), version=2 + n, person=person) for n in range(50)
    ]
    await attendance.said()
    looks.clear()
    await attendance.apply(
        [*corrections, *(attest(f"o{one}", "s1", at("09:00"), at("10:00"), person=one) for one in others)]
    )
    assert [line.split()[0] for line in told(await attendance.said())] == ["confirmed"] * (50 + 8)
    assert looks.total() <= 2 * (50 + 8)


async def test_who_leaves_a_crowded_day_is_followed_by_the_first_of_those_who_waited_in_one_look_at_each(
    attendance: AttendanceOnPostgres, db: Db, looks: Counter[str]
) -> None:
    person = uuid4()
    await crowded(attendance, db, person)
    await attendance.said()
    looks.clear()
    await attendance.apply([attest("counts", "s1", at("09:00"), at("17:00"), version=2, person=person, revoked=True)])
    assert list(told(await attendance.said())) == ["revoked countsv2", "confirmed d0v1"]
    assert looks.total() <= 3 * CROWD


async def test_a_batch_about_another_day_loads_nothing_of_a_crowded_one(
    attendance: AttendanceOnPostgres, db: Db
) -> None:
    person = uuid4()
    await crowded(attendance, db, person)
    states, service = States(), attendance.member.service
    for table in service.store.tables:
        table.declare(states)
    message = attest("r", "s1", at("09:00", 1), at("10:00", 1), person=person)
    inbound = Inbound(event_of(message), ATTENDANCE_COMMANDS.name, uuid4(), at("09:00"))
    async with db.transaction():
        needs = service.store.needs()
        service.reaction(inbound).needs(inbound, needs)
        await service.store.load(Batch(db), needs, states)
    assert states.changed(Standing) == []
    assert not states.group(Standing, "place", ("aa", person, MONDAY))
    assert not states.group(Standing, "doubles", (signup_id(person, "aa", PROJECT, "s1"), MONDAY))
