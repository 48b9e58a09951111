"""Attendance without its locks: no minute counts twice, no day is over its cap, no version is overwritten."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest

from contracts.messages import Message
from contracts.messages.attendance import ServiceConfirmed, ServiceHeld, ServiceRevoked
from deploy.operate.registries import CONFIGURED
from services.attendance.service import build
from services.attendance.settings import AttendanceSettings
from tests.support.attendance import NOW, at, attest, check_in, event_of, signup
from tests.support.naming import SECRET
from tests.support.unlocked import Unlocked, overtaken, unlocked

LANES = 4


@pytest.fixture
async def service(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Unlocked]:
    settings = AttendanceSettings(profile="test", naming_secret=SECRET, registries=CONFIGURED, day_cap_minutes=480)
    async with unlocked(monkeypatch, database, build(settings), settings, lanes=LANES) as made:
        yield made


async def alone(service: Unlocked, *messages: Message) -> None:
    for message in messages:
        await service.take(0, event_of(message, NOW))


async def together(service: Unlocked, *batches: Sequence[Message]) -> None:
    await service.together(*([event_of(message, NOW) for message in batch] for batch in batches))


async def came(service: Unlocked, person: UUID, *shifts: str) -> None:
    for shift in shifts:
        await alone(service, signup(shift, person=person), check_in(shift, at("08:00"), person=person))


async def minutes(service: Unlocked, person: UUID) -> int:
    found: int = await service.db.fetchval(
        "SELECT coalesce(sum(counted_minutes), 0) FROM service_record WHERE person = $1", person
    )
    assert found == await service.db.fetchval(
        "SELECT coalesce(sum(minutes), 0) FROM person_day WHERE person = $1", person
    )
    return found


async def test_two_records_of_one_hour_attested_at_once_count_once(service: Unlocked) -> None:
    she = uuid4()
    await came(service, she, "s1", "s2")
    await together(
        service,
        [attest("r1", "s1", at("09:00"), at("11:00"), person=she)],
        [attest("r2", "s2", at("10:00"), at("12:00"), person=she)],
    )
    assert len(await service.told(ServiceConfirmed)) == 1
    assert [held.reason for held in await service.told(ServiceHeld)] == ["overlap"]
    assert await minutes(service, she) == 120
    assert await service.aside() == []


async def test_two_records_that_together_are_over_the_cap_do_not_both_count(service: Unlocked) -> None:
    she = uuid4()
    await came(service, she, "s1", "s2")
    await together(
        service,
        [attest("r1", "s1", at("08:00"), at("13:00"), person=she)],
        [attest("r2", "s2", at("14:00"), at("19:00"), person=she)],
    )
    assert [held.reason for held in await service.told(ServiceHeld)] == ["over_cap"]
    assert await minutes(service, she) == 300
    assert await service.aside() == []


async def test_an_older_version_that_is_decided_at_once_with_a_newer_one_does_not_overwrite_it(
    service: Unlocked,
) -> None:
    she = uuid4()
    await came(service, she, "s1")
    await alone(service, attest("r1", "s1", at("09:00"), at("10:00"), person=she))
    before = overtaken()
    await together(
        service,
        [attest("r1", "s1", at("09:00"), at("13:00"), version=3, person=she)],
        [attest("r1", "s1", at("09:00"), at("11:00"), version=2, person=she)],
    )
    assert overtaken() == before + 1
    assert await service.db.fetchval("SELECT version FROM service_record") == 3
    assert await minutes(service, she) == 240


async def test_a_record_that_is_revoked_twice_at_once_is_taken_back_once(service: Unlocked) -> None:
    she = uuid4()
    await came(service, she, "s1", "s2")
    await alone(service, attest("r1", "s1", at("09:00"), at("10:00"), person=she))
    await alone(service, attest("r2", "s2", at("11:00"), at("12:00"), person=she))
    gone = [attest("r1", "s1", at("09:00"), at("10:00"), version=n, revoked=True, person=she) for n in (2, 3)]
    await together(service, *([one] for one in gone))
    assert len(await service.told(ServiceRevoked)) in (1, 2)
    assert await minutes(service, she) == 60


async def test_check_ins_at_once_are_pairs_of_their_own(service: Unlocked) -> None:
    she = uuid4()
    await alone(service, signup("s1", person=she))
    await together(service, *([check_in("s1", at(f"1{n}:00"), person=she)] for n in range(3)))
    rows = await service.db.fetch("SELECT pair, came_at FROM presence ORDER BY pair")
    assert [row["pair"] for row in rows] == [1, 2, 3]
    assert {row["came_at"] for row in rows} == {at(f"1{n}:00") for n in range(3)}


async def test_many_lanes_at_once_without_locks_count_what_one_after_the_other_may_count(service: Unlocked) -> None:
    chance = random.Random(15)
    people = [uuid4() for _ in range(6)]
    shifts = [f"s{number}" for number in range(6)]
    for person in people:
        await came(service, person, *shifts)
    messages: list[Message] = []
    for person in people:
        for number, shift in enumerate(shifts):
            for version in (1, 2, 3):
                begin = 8 + chance.randrange(9)
                span = at(f"{begin:02}:00"), at(f"{begin + chance.randint(1, 4):02}:00")
                revoked = version > 1 and chance.random() < 0.2
                messages.append(
                    attest(f"{person}-{number}", shift, *span, version=version, person=person, revoked=revoked)
                )
    chance.shuffle(messages)
    before = overtaken()
    for start in range(0, len(messages), 3 * LANES):
        part = messages[start : start + 3 * LANES]
        await together(service, *(part[lane::LANES] for lane in range(LANES)))
    assert overtaken() > before, "nobody met anybody"
    assert await service.aside() == []
    assert await service.db.fetchval("SELECT count(*) FROM service_record WHERE version = 3") == 36
    for person in people:
        assert 0 < await minutes(service, person) <= 480
    overlapping = await service.db.fetchval(
        """SELECT count(*) FROM service_record AS a JOIN service_record AS b USING (person)
            WHERE a.record_ref < b.record_ref AND a.counted_version IS NOT NULL AND b.counted_version IS NOT NULL
              AND tstzrange(a.counted_from, a.counted_to) && tstzrange(b.counted_from, b.counted_to)"""
    )
    assert overlapping == 0
