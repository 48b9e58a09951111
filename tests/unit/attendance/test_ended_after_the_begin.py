"""A sign-up that ends once its shift has begun keeps the right to what began before: judged at the record's start."""

from __future__ import annotations

from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from contracts.messages import Message
from contracts.messages.opportunities import (
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from services.attendance.states import Signup
from tests.support.attendance import World, at, attest, check_in, signup, told

_BEGINS, _ENDS = at("08:00"), at("12:00")
_SERVED = check_in("s1", at("07:50")), attest("r1", "s1", at("08:00"), at("10:00"))


def ended(moment: datetime | None, **more: Any) -> Message:
    """Her sign-up for the morning ends at this moment."""
    return signup("s1", SignupWithdrawn, withdrawn_at=moment, starts_at=_BEGINS, ends_at=_ENDS, **more)


def told_of(*messages: Message) -> list[str]:
    world = World()
    return [*told(world.deliver(*messages)), *told(world.time_is_up())]


@pytest.mark.parametrize("gives", [SignupConfirmed, SignupPromoted, SignupNoted])
@pytest.mark.parametrize("reason", [None, "shift_cancelled"])
def test_what_she_began_to_serve_before_the_end_counts_though_it_is_attested_later(gives: Any, reason: Any) -> None:
    assert told_of(signup("s1", gives), ended(at("10:00"), reason=reason), *_SERVED) == ["confirmed r1v1"]


@pytest.mark.parametrize(
    ("begun", "says"),
    [("07:30", "confirmed"), ("09:59", "confirmed"), ("10:00", "held"), ("11:00", "held")],
)
def test_a_record_is_judged_at_its_own_start(begun: str, says: str) -> None:
    record = attest("r1", "s1", at(begun), at("12:00"))
    said = told_of(signup("s1"), ended(at("10:00")), check_in("s1", at("07:30")), record)
    assert said == [{"confirmed": "confirmed r1v1", "held": "held r1v1 no_signup"}[says]]


@pytest.mark.parametrize("moment", [None, at("07:59"), _BEGINS])
def test_an_end_before_the_begin_or_of_an_unknown_moment_leaves_no_right(moment: datetime | None) -> None:
    assert told_of(signup("s1"), ended(moment), *_SERVED) == ["held r1v1 no_signup"]


def test_whoever_stood_in_line_or_was_refused_had_no_right_that_could_be_kept() -> None:
    for life in ([signup("s1", SignupWaitlisted)], [signup("s1", SignupRefused, reason="full")], []):
        assert told_of(*life, ended(at("10:00")), *_SERVED) == ["held r1v1 no_signup"]


def test_an_end_that_is_told_again_and_a_request_that_is_refused_later_take_nothing() -> None:
    again = ended(at("10:00"), reason="shift_cancelled")
    refused = signup("s1", SignupRefused, reason="shift_cancelled")
    assert told_of(signup("s1"), again, again, refused, again, *_SERVED) == ["confirmed r1v1"]


def test_a_later_life_of_the_sign_up_takes_nothing_of_the_earlier_one() -> None:
    world = World()
    world.deliver(signup("s1"), ended(at("10:00")), signup("s1"), ended(at("07:00")))
    assert [row.served_until for row in world.rows(Signup)] == [at("10:00")]
    assert list(told(world.deliver(*_SERVED))) == ["confirmed r1v1"]


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_in_whatever_order_end_presence_and_record_come_she_has_her_minutes(order: tuple[int, ...]) -> None:
    line = [ended(at("10:00")), *_SERVED]
    world = World()
    world.deliver(signup("s1"), *(line[turn] for turn in order))
    world.time_is_up()
    assert world.standing("r1").counted_minutes == 120
