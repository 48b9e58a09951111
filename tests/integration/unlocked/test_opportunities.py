"""Opportunities without its locks: no post is given twice, no window twice, and no count is overwritten."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest

from contracts.messages import Message
from contracts.messages.opportunities import SignupConfirmed, SignupPromoted, SignupRefused, SignupWithdrawn
from services.chassis.base.database import open_pool
from services.chassis.base.settings import Settings
from services.opportunities.service import build
from tests.support.naming import SECRET
from tests.support.opportunities import World, event, project, report, request, shift, withdraw
from tests.support.unlocked import Unlocked, overtaken, unlocked

LANES = 4


@pytest.fixture
async def service(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Unlocked]:
    settings = Settings(profile="test", naming_secret=SECRET)
    async with unlocked(monkeypatch, database, build(settings), settings, lanes=LANES) as made:
        yield made


async def alone(service: Unlocked, *commands: Message) -> None:
    await service.take(0, *map(event, commands))


async def together(service: Unlocked, *batches: Sequence[Message]) -> None:
    await service.together(*([event(command) for command in batch] for batch in batches))


async def test_two_who_both_read_nine_of_ten_do_not_both_get_the_tenth_post(service: Unlocked) -> None:
    await alone(service, project(), shift(posts=10), *(request(uuid4()) for _ in range(9)))
    before = overtaken()
    await together(service, [request(uuid4())], [request(uuid4())])
    assert overtaken() == before + 1
    assert await service.db.fetchval("SELECT confirmed FROM shift") == 10
    assert await service.db.fetchval("SELECT count(*) FROM signup WHERE state = 'confirmed'") == 10
    assert [refused.reason for refused in await service.told(SignupRefused)] == ["full"]
    assert await service.aside() == []


async def test_two_withdrawals_at_once_hand_on_two_posts_to_the_first_two_in_line(service: Unlocked) -> None:
    people = [uuid4() for _ in range(5)]
    await alone(service, project(), shift(posts=2, waitlist=3), *map(request, people))
    await together(service, [withdraw(people[0])], [withdraw(people[1])])
    assert [promoted.person for promoted in await service.told(SignupPromoted)] == people[2:4]
    assert dict(await service.db.fetchrow("SELECT confirmed, waitlisted FROM shift") or {}) == {
        "confirmed": 2,
        "waitlisted": 1,
    }


async def test_a_post_that_is_given_back_twice_at_once_comes_back_once(service: Unlocked) -> None:
    she = uuid4()
    await alone(service, project(), shift(posts=2), request(she), request(uuid4()))
    await together(service, [withdraw(she)], [withdraw(she)])
    assert await service.db.fetchval("SELECT confirmed FROM shift") == 1
    assert len(await service.told(SignupWithdrawn)) == 1


async def test_a_person_who_asks_for_two_shifts_of_one_hour_at_once_gets_one_of_them(service: Unlocked) -> None:
    she = uuid4()
    await alone(service, project(), shift("s1", posts=9), shift("s2", posts=9, window=(11, 14)))
    await together(service, [request(she, "s1")], [request(she, "s2")])
    assert len(await service.told(SignupConfirmed)) == 1
    assert [refused.reason for refused in await service.told(SignupRefused)] == ["clash"]
    assert await service.db.fetchval("SELECT sum(confirmed) FROM shift") == 1
    assert await service.aside() == []


async def test_a_smaller_allotment_and_a_request_at_once_do_not_overwrite_each_other(service: Unlocked) -> None:
    await alone(service, project(), shift(posts=3), request(uuid4()))
    await together(service, [shift(posts=1, version=2)], [request(uuid4())])
    row = await service.db.fetchrow("SELECT version, posts, confirmed, capacity FROM shift")
    given = len(await service.told(SignupConfirmed))
    assert row is not None
    assert tuple(row) == (2, 1, given, given)


async def test_who_comes_back_in_beside_a_live_batch_does_not_get_the_post_that_is_given_just_then(
    service: Unlocked, database: str
) -> None:
    await alone(service, project(), request(uuid4()))
    assert await service.aside() == ["waiting"]
    await alone(service, shift(posts=1))
    assert await service.aside() == ["ready"]
    pool = await open_pool(database, size=2, application="test")
    try:
        before = overtaken()
        await service.beside_reentry(pool, event(request(uuid4())))
    finally:
        await pool.close()
    assert overtaken() == before + 1
    assert await service.db.fetchval("SELECT confirmed FROM shift") == 1
    assert len(await service.told(SignupConfirmed)) == len(await service.told(SignupRefused)) == 1


async def test_many_lanes_at_once_without_locks_give_as_many_as_one_after_the_other(service: Unlocked) -> None:
    chance = random.Random(15)
    people = [UUID(int=number, version=4) for number in range(1, 121)]
    shifts = {"s1": (9, 12), "s2": (11, 13), "s3": (14, 16)}
    await alone(service, project(), *(shift(name, window=at, posts=13, waitlist=5) for name, at in shifts.items()))
    # Each asks for the afternoon and for one of two mornings that overlap; half of them would give the afternoon back.
    asked: list[Message] = [request(one, chance.choice(["s1", "s2"])) for one in people]
    asked += [request(one, "s3") for one in people]
    asked += [request(one, name) for one in people[:40] for name in ("s1", "s2")]
    asked += [report(one, "h", window=(9, 13)) for one in people[100:]]
    chance.shuffle(asked)
    before = overtaken()
    await _in_lanes(service, asked)
    await _in_lanes(service, [withdraw(one, "s3") for one in chance.sample(people, 60)])
    left = len(await service.told(SignupWithdrawn))
    assert left > 0
    assert overtaken() > before, "nobody met anybody"
    assert await service.aside() == []
    await _balanced(service)
    world = World()
    world.all_told(project(), *(shift(name, window=at, posts=13, waitlist=5) for name, at in shifts.items()), *asked)
    rows = await service.db.fetch("SELECT shift_ref, confirmed FROM shift")
    assert {row[0]: row[1] for row in rows} == {name: world.shift(name).confirmed for name in ("s1", "s2")} | {
        "s3": min(13, 13 + 5 - left)
    }


async def _in_lanes(service: Unlocked, commands: Sequence[Message]) -> None:
    for start in range(0, len(commands), 7 * LANES):
        part = commands[start : start + 7 * LANES]
        await together(service, *(part[lane::LANES] for lane in range(min(LANES, len(part)))))


async def _balanced(service: Unlocked) -> None:
    """Counts of shifts are those of their sign-ups, nobody is in two places, and each answer stands in the books."""
    rows = await service.db.fetch(
        """SELECT shift_ref, confirmed, waitlisted, posts,
                  count(*) FILTER (WHERE signup.state = 'confirmed') AS given,
                  count(*) FILTER (WHERE signup.state = 'waitlisted') AS line
             FROM shift LEFT JOIN signup USING (host, project_ref, shift_ref)
            GROUP BY host, project_ref, shift_ref"""
    )
    for row in rows:
        assert (row["confirmed"], row["waitlisted"]) == (row["given"], row["line"]), row
        assert row["confirmed"] <= row["posts"], row
    told = Counter(
        {row[0]: row[1] for row in await service.db.fetch("SELECT outcome, count(*) FROM signup_outcome GROUP BY 1")}
    )
    ended = await service.db.fetchval(
        """SELECT count(*) FROM signup_outcome AS gone WHERE outcome = 'withdrawn' AND EXISTS (
             SELECT FROM signup_outcome AS post
              WHERE post.signup_id = gone.signup_id AND post.outcome IN ('confirmed', 'promoted'))"""
    )
    assert told["confirmed"] + told["promoted"] - ended == sum(row["confirmed"] for row in rows)
