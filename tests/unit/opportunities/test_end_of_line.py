"""Who still stands in line when a shift has begun: told so, and free for something else."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from contracts.messages.opportunities import (
    CloseWaitlist,
    SignupConfirmed,
    SignupNoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from contracts.topics import OPPORTUNITIES_COMMANDS
from tests.support.opportunities import BEFORE, World, close, hour, only, report, request, shift, withdraw

_CLOSED = hour(9.25)


def test_once_a_shift_has_begun_whoever_stands_in_line_is_told_and_posts_are_kept() -> None:
    world = World()
    posted, second, third = uuid4(), uuid4(), uuid4()
    asked = request(third, ref="r-3")
    world.all_told(shift(waitlist=2), request(posted), request(second), asked)
    told = world.time_is(_CLOSED)
    gone = [message for message in told if isinstance(message, SignupWithdrawn)]
    assert len(gone) == len(told)
    assert {(message.person, message.reason) for message in gone} == {
        (second, "waitlist_closed"),
        (third, "waitlist_closed"),
    }
    assert [(m.signup_ref, m.origin, m.starts_at) for m in gone if m.person == third] == [
        ("r-3", asked.origin, hour(9))
    ]
    assert (world.shift().confirmed, world.shift().waitlisted) == (1, 0)
    assert [signup.person for signup in world.signups()] == [posted]
    assert [(row.outcome, row.reason) for row in world.outcomes[3:]] == [("withdrawn", "waitlist_closed")] * 2


def test_her_time_is_free_then_for_another_shift_and_for_what_home_reported() -> None:
    world = World()
    she, busy = uuid4(), uuid4()
    world.all_told(shift(waitlist=2), shift("s2", window=(9.5, 11)), request(uuid4()), request(she), request(busy))
    assert only(SignupRefused, world.told(request(she, "s2"), hour(9.2))).reason == "clash"
    assert only(SignupRefused, world.told(report(busy, window=(11, 13)), hour(9.2))).reason == "clash"
    *gone, noted = world.time_is(_CLOSED)
    assert {type(message) for message in gone} == {SignupWithdrawn}
    assert isinstance(noted, SignupNoted)
    assert noted.person == busy
    only(SignupConfirmed, world.told(request(she, "s2"), hour(9.3)))


def test_a_line_that_is_empty_or_unknown_is_closed_without_a_word() -> None:
    world = World()
    she = uuid4()
    assert world.told(close(), _CLOSED) == []
    world.all_told(shift(waitlist=2), request(uuid4()), request(she), withdraw(she))
    before = [world.rows(table.row) for table in world.member.service.store.tables]
    assert len(world.timers) == 1
    assert world.time_is(_CLOSED) == []
    assert world.timers == {}
    assert [world.rows(table.row) for table in world.member.service.store.tables] == before


def test_the_line_closes_a_quarter_of_an_hour_after_the_start_by_one_timer_of_its_shift() -> None:
    world = World()
    world.all_told(
        shift(waitlist=2), shift("s2", window=(13, 14), waitlist=1), request(uuid4()), request(uuid4(), "s2")
    )
    only(SignupWaitlisted, world.told(request(uuid4())))
    [first] = world.timers.items()
    last = only(SignupWaitlisted, world.told(request(uuid4())))
    assert [first] == list(world.timers.items())
    world.told(request(uuid4(), "s2"))
    [elsewhere] = world.timers.items() - {first}
    assert (first[1], elsewhere[1]) == (_CLOSED, hour(13.25))
    world.time_is(_CLOSED)
    [closed] = world.linkage.log.told(OPPORTUNITIES_COMMANDS.name, CloseWaitlist)
    assert (closed.key, closed.shift_ref, closed.origin) == ("gz:p1", "s1", last.origin)
    assert dict([elsewhere]) == world.timers


def test_who_gets_a_post_or_nothing_starts_no_timer() -> None:
    world = World()
    told = world.all_told(shift(), request(uuid4()), request(uuid4()))
    assert [type(message) for message in told] == [SignupConfirmed, SignupRefused]
    assert world.timers == {}


def test_what_is_told_long_after_its_day_gets_its_quarter_of_an_hour_too() -> None:
    """The demo tells a weekend of years ago: a line closed at once would take promotions from it."""
    world = World()
    world.all_told(shift(waitlist=1), request(uuid4()))
    late = hour(24 * 900)
    world.time_is(late)
    only(SignupWaitlisted, world.told(request(uuid4()), BEFORE))
    assert list(world.timers.values()) == [late + timedelta(minutes=15)]


def test_after_the_line_was_closed_a_withdrawal_of_before_finds_nobody_and_a_late_request_may_join() -> None:
    world = World()
    posted, waiting = uuid4(), uuid4()
    world.all_told(shift(waitlist=1), request(posted), request(waiting))
    only(SignupWithdrawn, world.time_is(_CLOSED))
    only(SignupWaitlisted, world.told(request(uuid4()), BEFORE))
    only(SignupWithdrawn, world.time_is(_CLOSED + timedelta(minutes=15)))
    only(SignupWithdrawn, world.told(withdraw(posted), BEFORE))
    only(SignupConfirmed, world.told(request(waiting), BEFORE))
