"""Once its shift has begun no volunteer gives a post back; an end by the host's word says when it came."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from contracts.messages.opportunities import CommandRefused, SignupConfirmed, SignupWithdrawn
from tests.support.opportunities import BEFORE, World, hour, only, report, request, shift, withdraw

_JUST_BEFORE = hour(9) - timedelta(microseconds=1)


@pytest.mark.parametrize("posts", [1, 0])
@pytest.mark.parametrize("late", [hour(9), hour(10), hour(13)])
def test_a_post_and_a_place_in_line_are_not_given_back_once_the_shift_has_begun(posts: int, late: datetime) -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(posts=posts, waitlist=1), request(she))
    before = world.signups()
    back = withdraw(she)
    refused = only(CommandRefused, world.told(back, late))
    assert (refused.reason, refused.origin) == ("shift_started", back.origin)
    assert (world.signups(), world.shift().confirmed, world.shift().waitlisted) == (before, posts, 1 - posts)


def test_a_withdrawal_of_just_before_the_begin_counts_whenever_it_comes() -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(), request(she))
    world.time_is(hour(20))
    gone = only(SignupWithdrawn, world.told(withdraw(she), _JUST_BEFORE))
    assert (gone.withdrawn_at, gone.starts_at) == (_JUST_BEFORE, hour(9))
    assert world.shift().confirmed == 0


def test_a_window_of_home_is_not_given_back_once_it_has_begun_and_ends_by_her_homes_word() -> None:
    world = World()
    she = uuid4()
    world.told(report(she))
    assert only(CommandRefused, world.told(withdraw(she, "h1", of="ph", host="sz"), hour(9))).reason == "shift_started"
    assert [row.state for row in world.signups()] == ["reported"]
    assert only(SignupWithdrawn, world.told(report(she, state="withdrawn"), hour(9))).withdrawn_at == hour(9)
    assert world.signups() == []


def test_a_withdrawal_of_nothing_is_a_withdrawal_of_nothing_after_the_begin_too() -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(), request(she), withdraw(she))
    assert only(CommandRefused, world.told(withdraw(she), hour(10))).reason == "no_signup"


def test_a_host_cancels_at_half_time_and_everybody_is_told_when() -> None:
    world = World()
    posted, busy = uuid4(), uuid4()
    world.all_told(shift(), shift("s2", window=(11, 13)), request(posted), report(busy, "s1", of="p1", host="gz"))
    told = world.told(shift(version=2, state="cancelled"), hour(10))
    assert {message.person for message in told if isinstance(message, SignupWithdrawn)} == {posted, busy}
    assert {message.withdrawn_at for message in told if isinstance(message, SignupWithdrawn)} == {hour(10)}
    assert world.signups() == []
    only(SignupConfirmed, world.told(request(posted, "s2"), hour(10.5)))  # what would have come is hers again


def test_an_end_says_its_moment_by_the_message_that_ends_it_and_not_by_the_clock() -> None:
    world = World()
    she, busy, waiting = uuid4(), uuid4(), uuid4()
    world.all_told(shift(waitlist=1), request(she), request(waiting), report(busy))
    world.time_is(hour(9) + timedelta(minutes=14))
    ended = {
        *(one.withdrawn_at for one in world.told(withdraw(she), BEFORE) if isinstance(one, SignupWithdrawn)),
        only(SignupWithdrawn, world.told(report(busy, state="withdrawn"), hour(11))).withdrawn_at,
    }
    assert ended == {BEFORE, hour(11)}
    assert all(moment is not None and not moment.utcoffset() for moment in ended)
