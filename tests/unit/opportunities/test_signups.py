"""Each way in which a sign-up is given, kept in line, refused, withdrawn or reported."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from contracts.messages.base import AgeBand
from contracts.messages.opportunities import (
    CommandRefused,
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from services.opportunities.states import shift_name
from tests.support.opportunities import BEFORE, DAY, World, hour, only, report, request, shift, withdraw


def test_a_sign_up_takes_a_post_and_says_when_and_to_whom() -> None:
    world = World()
    world.told(shift(posts=2))
    asked = request(uuid4(), asker="gz", ref="own-7")
    told = only(SignupConfirmed, world.told(asked))
    assert (told.signup_id, told.person, told.key) == (asked.signup_id, asked.person, "gz:p1")
    assert (told.asker, told.signup_ref, told.origin) == ("gz", "own-7", asked.origin)
    assert (told.starts_at, told.ends_at) == (hour(9), hour(12))
    assert world.shift().free == 1


def test_a_request_waits_for_its_shift_and_is_refused_when_its_time_is_up() -> None:
    world = World()
    assert world.told(request(uuid4())) == []
    [waiting] = world.aside
    assert (waiting.reason, waiting.fact) == ("waiting", shift_name("gz", "p1", "s1"))
    assert world.time_is(BEFORE + timedelta(seconds=59)) == []
    refused = only(SignupRefused, world.time_is(BEFORE + timedelta(seconds=60)))
    assert (refused.reason, world.aside) == ("shift_unknown", [])
    assert [outcome.reason for outcome in world.outcomes] == ["shift_unknown"]


def test_posts_then_the_waitlist_then_full() -> None:
    world = World()
    told = world.all_told(shift(posts=1, waitlist=1), *(request(uuid4()) for _ in range(3)))
    assert [type(message) for message in told] == [SignupConfirmed, SignupWaitlisted, SignupRefused]
    assert isinstance(told[2], SignupRefused)
    assert told[2].reason == "full"


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        (DAY - timedelta(days=7, microseconds=1), SignupRefused),
        (DAY - timedelta(days=7), SignupConfirmed),
        (hour(8) - timedelta(microseconds=1), SignupConfirmed),
        (hour(8), SignupRefused),
    ],
)
def test_sign_up_is_open_from_its_opening_until_just_before_its_close(at: datetime, answer: type) -> None:
    world = World()
    world.told(shift(closes=hour(8)))
    (told,) = world.told(request(uuid4()), at)
    assert type(told) is answer
    if isinstance(told, SignupRefused):
        assert told.reason == "not_open"


def test_nobody_joins_a_shift_that_has_started_even_while_sign_up_is_open() -> None:
    world = World()
    world.told(shift(posts=5, closes=hour(11)))
    only(SignupConfirmed, world.told(request(uuid4()), hour(9) - timedelta(microseconds=1)))
    assert only(SignupRefused, world.told(request(uuid4()), hour(9))).reason == "not_open"


@pytest.mark.parametrize(
    ("age", "guardian", "at_least", "minimum", "answer"),
    [
        (AgeBand.UNDER_14, True, None, 14, "too_young"),
        (AgeBand.UNDER_14, True, None, 12, "needs_age"),
        (AgeBand.UNDER_14, True, 12, 12, None),
        (AgeBand.FROM_14, True, None, 15, "needs_age"),
        (AgeBand.FROM_14, True, 14, 15, "needs_age"),
        (AgeBand.FROM_14, True, 15, 15, None),
        (AgeBand.FROM_14, False, 15, 15, "guardian_missing"),
        (AgeBand.FROM_14, True, None, 14, None),
        (AgeBand.FROM_14, True, None, 16, "too_young"),
        (AgeBand.FROM_14, True, 16, 16, None),  # she has had her birthday since the offer
        (AgeBand.FROM_16, False, None, 0, "guardian_missing"),
        (AgeBand.FROM_16, True, None, 16, None),
        (AgeBand.FROM_16, True, None, 17, "needs_age"),
        (AgeBand.FROM_16, True, None, 18, "too_young"),
        (AgeBand.ADULT, False, None, 18, None),
    ],
)
def test_within_her_age_band_only_her_homes_word_says_whether_she_is_old_enough(
    age: AgeBand, guardian: bool, at_least: int | None, minimum: int, answer: str | None
) -> None:
    world = World()
    world.told(shift(minimum_age=minimum))
    (told,) = world.told(request(uuid4(), age=age, guardian=guardian, at_least=at_least))
    assert (told.reason if isinstance(told, SignupRefused) else None) == answer


@pytest.mark.parametrize(
    ("window", "clash"), [((11, 13), True), ((8, 9.5), True), ((10, 11), True), ((12, 14), False), ((7, 9), False)]
)
def test_windows_of_one_person_may_touch_but_not_overlap(window: tuple[float, float], clash: bool) -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(), shift("s2", of="p2", host="sz", window=window, posts=5), request(she))
    (told,) = world.told(request(she, "s2", of="p2", host="sz"))
    assert (isinstance(told, SignupRefused) and told.reason == "clash") is clash
    only(SignupConfirmed, world.told(request(uuid4(), "s2", of="p2", host="sz")))


def test_a_place_in_line_and_a_reported_window_clash_like_a_post() -> None:
    world = World()
    waiting, busy = uuid4(), uuid4()
    world.all_told(shift(posts=0, waitlist=5), shift("s2", window=(11, 13), posts=5), request(waiting), report(busy))
    for person in (waiting, busy):
        assert only(SignupRefused, world.told(request(person, "s2"))).reason == "clash"
    world.all_told(withdraw(waiting), report(busy, state="withdrawn"))
    for person in (waiting, busy):
        only(SignupConfirmed, world.told(request(person, "s2")))


@pytest.mark.parametrize(("posts", "answer"), [(1, SignupConfirmed), (0, SignupWaitlisted)])
def test_the_same_request_repeated_is_told_how_it_stands(posts: int, answer: type) -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(posts=posts, waitlist=1), request(she, ref="r"))
    again = request(she, ref="r")
    (told,) = world.told(again)
    assert type(told) is answer
    assert (told.model_dump()["origin"], len(world.outcomes)) == (again.origin.model_dump(), 1)
    assert world.shift().confirmed + world.shift().waitlisted == 1


def test_what_was_refused_or_withdrawn_may_be_asked_for_again() -> None:
    world = World()
    she, other = uuid4(), uuid4()
    world.all_told(shift(), request(other))
    assert only(SignupRefused, world.told(request(she, ref="r"))).reason == "full"
    world.told(withdraw(other))
    only(SignupConfirmed, world.told(request(she, ref="r")))
    world.told(withdraw(she))
    only(SignupConfirmed, world.told(request(other)))


def test_a_withdrawal_answers_its_sender_and_hands_the_post_to_the_head_of_the_line() -> None:
    world = World()
    first, second, third = uuid4(), uuid4(), uuid4()
    world.all_told(shift(waitlist=2), request(first), request(second), request(third))
    back = withdraw(first, asker="gz")
    first_asker, gone, promoted = world.told(back)
    assert isinstance(gone, SignupWithdrawn)
    assert isinstance(first_asker, SignupWithdrawn)
    assert first_asker.asker == "sz"
    assert (gone.asker, gone.origin, gone.reason, gone.starts_at) == ("gz", back.origin, None, hour(9))
    assert isinstance(promoted, SignupPromoted)
    assert promoted.person == second
    assert (world.shift().confirmed, world.shift().waitlisted) == (1, 1)
    only(SignupWithdrawn, world.told(withdraw(third)))
    assert world.shift().waitlisted == 0


def test_a_place_in_line_is_lost_by_withdrawing_and_asking_again() -> None:
    world = World()
    first, second, third = uuid4(), uuid4(), uuid4()
    world.all_told(shift(waitlist=5), request(first), request(second), request(third))
    world.all_told(withdraw(second), request(second))
    assert [type(message) for message in world.told(withdraw(first))] == [SignupWithdrawn, SignupPromoted]
    assert {signup.person for signup in world.signups(("confirmed",))} == {third}


def test_nobody_is_promoted_once_the_shift_has_started() -> None:
    world = World()
    first, second = uuid4(), uuid4()
    world.all_told(shift(waitlist=1), request(first), request(second))
    assert world.told(shift(version=2, posts=2, waitlist=1), hour(9)) == []
    assert {signup.person for signup in world.signups(("waitlisted",))} == {second}


def test_nobody_overtakes_the_line_where_a_post_stands_free() -> None:
    world = World()
    world.all_told(shift(waitlist=2), request(uuid4()), request(uuid4()))
    world.told(shift(version=2, posts=2, waitlist=2), hour(9))
    only(SignupWaitlisted, world.told(request(uuid4()), BEFORE))


def test_one_who_leaves_the_line_beside_a_free_post_is_not_given_it() -> None:
    world = World()
    first, second, third = uuid4(), uuid4(), uuid4()
    world.all_told(shift(waitlist=2), request(first), request(second), request(third))
    world.told(shift(version=2, posts=2, waitlist=2), hour(9))
    gone, promoted = world.told(withdraw(second), BEFORE)
    assert isinstance(gone, SignupWithdrawn)
    assert isinstance(promoted, SignupPromoted)
    assert promoted.person == third
    assert {signup.person for signup in world.signups()} == {first, third}


def test_withdrawing_nothing_is_refused() -> None:
    world = World()
    she = uuid4()
    assert only(CommandRefused, world.told(withdraw(she))).reason == "no_signup"
    world.all_told(shift(), request(she), withdraw(she))
    back = withdraw(she)
    refused = only(CommandRefused, world.told(back))
    assert (refused.reason, refused.origin) == ("no_signup", back.origin)
    assert world.shift().confirmed == 0


def test_a_reported_window_is_noted_takes_no_post_and_is_freed() -> None:
    world = World()
    she = uuid4()
    noted = only(SignupNoted, world.told(report(she, window=(9, 12))))
    assert (noted.starts_at, noted.ends_at, noted.host) == (hour(9), hour(12), "sz")
    assert only(SignupNoted, world.told(report(she, window=(14, 15)))).starts_at == hour(14)
    only(SignupWithdrawn, world.told(report(she, window=(14, 15), state="withdrawn")))
    assert only(CommandRefused, world.told(report(she, state="withdrawn"))).reason == "no_signup"
    assert world.outcomes == []


def test_a_report_that_clashes_is_refused_and_what_stood_before_stands() -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(), request(she), report(she, "h2", window=(14, 15)))
    assert only(SignupRefused, world.told(report(she, "h1", window=(11, 13)))).reason == "clash"
    assert only(SignupRefused, world.told(report(she, "h2", window=(10, 15)))).reason == "clash"
    assert sorted((signup.starts_at, signup.state) for signup in world.signups()) == [
        (hour(9), "confirmed"),
        (hour(14), "reported"),
    ]


def test_a_report_of_what_the_linkage_gave_is_told_how_it_stands() -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(host="sz", of="ph", ref="h1"), request(she, "h1", of="ph", host="sz"))
    only(SignupConfirmed, world.told(report(she)))
    assert only(CommandRefused, world.told(report(she, state="withdrawn"))).reason == "no_signup"
    assert world.shift("h1", "ph", "sz").confirmed == 1


def test_asking_for_what_home_reported_is_told_how_it_stands() -> None:
    world = World()
    she = uuid4()
    reported = report(she)
    world.all_told(shift(host="sz", of="ph", ref="h1"), reported)
    asked = request(she, "h1", of="ph", host="sz", asker=reported.asker, ref=reported.signup_ref)
    only(SignupNoted, world.told(asked))
    assert [signup.state for signup in world.signups()] == ["reported"]


def test_a_reported_window_can_be_withdrawn_like_a_post_and_frees_none() -> None:
    world = World()
    she = uuid4()
    world.all_told(shift(host="sz", of="ph", ref="h1", waitlist=1, posts=0), report(she))
    world.told(request(uuid4(), "h1", of="ph", host="sz"))
    only(SignupWithdrawn, world.told(withdraw(she, "h1", of="ph", host="sz")))
    assert (world.shift("h1", "ph", "sz").confirmed, world.shift("h1", "ph", "sz").waitlisted) == (0, 1)
