"""What search says of a sign-up is what whoever asks at that moment is told."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from contracts.messages.opportunities import SignupConfirmed, SignupRefused, SignupWaitlisted
from services.opportunities.api import SignupNow, signup_now
from tests.support.opportunities import BEFORE, DAY, World, hour, only, project, request, shift

_MEETS: dict[SignupNow, type[SignupConfirmed | SignupWaitlisted | SignupRefused]] = {
    "post": SignupConfirmed,
    "line": SignupWaitlisted,
    "full": SignupRefused,
    "opens_later": SignupRefused,
    "closed": SignupRefused,
}
OPENS, CLOSES = DAY - timedelta(days=7), hour(8)
JUST = timedelta(microseconds=1)


def found(world: World, at: datetime, project_state: str = "open") -> SignupNow:
    row = world.shift()
    return signup_now(asdict(row) | {"free": row.free, "project_state": project_state}, at)


@pytest.mark.parametrize(
    ("at", "closes", "expected"),
    [
        (OPENS - JUST, CLOSES, "opens_later"),
        (OPENS, CLOSES, "post"),
        (CLOSES - JUST, CLOSES, "post"),
        (CLOSES, CLOSES, "closed"),
        (hour(9) - JUST, hour(10), "post"),
        (hour(9), hour(10), "closed"),
    ],
)
def test_a_shift_has_posts_from_the_opening_of_sign_up_to_its_close(
    at: datetime, closes: datetime, expected: SignupNow
) -> None:
    world = World()
    world.told(shift(posts=1, closes=closes))
    assert found(world, at) == expected
    told = only(_MEETS[expected], world.told(request(uuid4()), at))
    assert not isinstance(told, SignupRefused) or told.reason == "not_open"


@pytest.mark.parametrize(("posts", "waitlist"), [(0, 0), (0, 2), (1, 0), (1, 1), (2, 2)])
def test_posts_come_first_then_places_in_line_then_nothing(posts: int, waitlist: int) -> None:
    world = World()
    world.told(shift(posts=posts, waitlist=waitlist))
    seen = []
    for _ in range(posts + waitlist + 1):
        seen.append(found(world, BEFORE))
        told = only(_MEETS[seen[-1]], world.told(request(uuid4())))
        assert not isinstance(told, SignupRefused) or told.reason == "full"
    assert seen == ["post"] * posts + ["line"] * waitlist + ["full"]


def test_whoever_is_in_line_comes_before_a_post_that_came_back() -> None:
    world = World()
    world.told(shift(posts=1))
    row = asdict(world.shift()) | {"free": 1, "project_state": "open", "waitlisted": 1}
    assert signup_now(row | {"waitlist_posts": 2}, BEFORE) == "line"
    assert signup_now(row | {"waitlist_posts": 1}, BEFORE) == "full"


def test_a_cancelled_shift_and_a_shift_of_a_closed_project_take_nobody() -> None:
    world = World()
    world.all_told(project(), shift(posts=1))
    world.told(project(version=2, state="closed"))
    assert found(world, BEFORE, "closed") == "closed"
    assert only(SignupRefused, world.told(request(uuid4()))).reason == "not_open"
    world.told(project(version=3))
    world.told(shift(posts=1, version=2, state="cancelled"))
    assert found(world, BEFORE) == "closed"
    assert only(SignupRefused, world.told(request(uuid4()))).reason == "shift_cancelled"
