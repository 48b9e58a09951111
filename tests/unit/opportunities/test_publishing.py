"""Versions of projects and shifts, and what they do to those who signed up."""

from __future__ import annotations

from uuid import uuid4

import pytest

from contracts.messages.opportunities import (
    CommandRefused,
    SignupConfirmed,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from services.opportunities.states import Project, shift_name
from tests.support.opportunities import World, hour, only, project, report, request, shift, withdraw


def test_a_later_version_replaces_a_project_and_an_older_one_changes_nothing() -> None:
    world = World()
    assert world.all_told(project(version=2, title="Two"), project(version=1, title="One")) == []
    [kept] = world.rows(Project)
    assert kept.title == "Two"
    assert world.told(project(version=3, campaign="summer")) == []
    [kept] = world.rows(Project)
    assert (kept.campaign_ref, kept.campaign_title) == ("summer", "SUMMER")


def test_the_same_version_again_is_nothing_and_with_other_content_a_conflict() -> None:
    world = World()
    assert world.all_told(project(), project(), shift(posts=2), shift(posts=2)) == []
    other = project(title="Other")
    refused = only(CommandRefused, world.told(other))
    assert (refused.reason, refused.origin) == ("version_conflict", other.origin)
    assert only(CommandRefused, world.told(shift(posts=3))).reason == "version_conflict"
    assert world.shift().posts == 2


def test_the_same_version_is_recognised_after_posts_were_given() -> None:
    world = World()
    world.all_told(shift(posts=1, waitlist=1), request(uuid4()), request(uuid4()))
    assert world.told(shift(posts=1, waitlist=1)) == []
    assert (world.shift().confirmed, world.shift().waitlisted) == (1, 1)


def test_an_older_version_of_a_shift_is_ignored() -> None:
    world = World()
    assert world.all_told(shift(version=3, posts=5), shift(version=2, posts=9)) == []
    assert world.shift().posts == 5


def test_the_window_of_a_shift_does_not_move() -> None:
    world = World()
    world.told(shift(window=(9, 12)))
    for window in ((9, 13), (8, 12)):
        assert only(CommandRefused, world.told(shift(version=2, window=window))).reason == "window_fixed"
    assert world.shift().version == 1


def test_a_shift_stands_before_its_project_and_is_made_known_as_a_fact() -> None:
    world = World()
    assert world.told(request(uuid4())) == []
    assert [row.fact for row in world.aside] == [shift_name("gz", "p1", "s1")]
    only(SignupConfirmed, world.told(shift(posts=2)))
    only(SignupConfirmed, world.told(request(uuid4())))


def test_lowered_posts_send_nobody_away_and_let_nobody_in() -> None:
    world = World()
    people = [uuid4() for _ in range(3)]
    world.all_told(shift(posts=3), *map(request, people))
    assert world.told(shift(version=2, posts=1)) == []
    assert (world.shift().confirmed, world.shift().capacity) == (3, 3)
    assert only(SignupRefused, world.told(request(uuid4()))).reason == "full"
    only(SignupWithdrawn, world.told(withdraw(people[0])))
    assert (world.shift().confirmed, world.shift().capacity) == (2, 2)
    assert only(SignupRefused, world.told(request(uuid4()))).reason == "full"
    world.all_told(withdraw(people[1]), withdraw(people[2]))
    assert (world.shift().confirmed, world.shift().capacity) == (0, 1)
    only(SignupConfirmed, world.told(request(uuid4())))


def test_raised_posts_go_to_those_in_line_in_their_order() -> None:
    world = World()
    waiting = [uuid4() for _ in range(4)]
    asked = [request(person) for person in waiting]
    told = world.all_told(shift(posts=1, waitlist=9), request(uuid4()), *asked)
    assert [type(message) for message in told[1:]] == [SignupWaitlisted] * 4
    promoted = world.told(shift(version=2, posts=4, waitlist=9))
    assert [type(message) for message in promoted] == [SignupPromoted] * 3
    assert [message.person for message in promoted if isinstance(message, SignupPromoted)] == waiting[:3]
    first = promoted[0]
    assert isinstance(first, SignupPromoted)
    assert (first.asker, first.signup_ref, first.origin) == (asked[0].asker, asked[0].signup_ref, asked[0].origin)
    assert (world.shift().confirmed, world.shift().waitlisted) == (4, 1)


@pytest.mark.parametrize("late", [9, 10])
def test_raised_posts_of_a_shift_that_has_started_promote_nobody(late: float) -> None:
    world = World()
    world.all_told(shift(posts=0, waitlist=1), request(uuid4()))
    assert world.told(shift(version=2, posts=1, waitlist=1), hour(late)) == []
    assert world.shift().waitlisted == 1


def test_a_cancelled_shift_frees_everyone_and_takes_nobody() -> None:
    world = World()
    posted, waiting, busy, other = (uuid4() for _ in range(4))
    first = request(posted)
    world.all_told(
        shift(posts=1, waitlist=1), shift("s2", posts=1), first, request(waiting), request(other, "s2"),
        report(busy, "s1", of="p1", host="gz"),
    )  # fmt: skip
    told = world.told(shift(version=2, posts=1, waitlist=1, state="cancelled"))
    gone = [message for message in told if isinstance(message, SignupWithdrawn)]
    assert len(gone) == len(told)
    assert {message.person for message in gone} == {posted, waiting, busy}
    assert {message.reason for message in gone} == {"shift_cancelled"}
    assert {message.signup_ref for message in gone if message.person == posted} == {first.signup_ref}
    assert (world.shift().confirmed, world.shift().waitlisted) == (0, 0)
    assert only(SignupRefused, world.told(request(uuid4()))).reason == "shift_cancelled"
    assert [signup.person for signup in world.signups()] == [other]


def test_a_shift_that_was_cancelled_before_anyone_heard_of_it_refuses() -> None:
    world = World()
    world.told(shift(state="cancelled"))
    assert only(SignupRefused, world.told(request(uuid4()))).reason == "shift_cancelled"


def test_a_closed_project_gives_no_posts_and_keeps_those_it_gave() -> None:
    """Seen: search hid the shifts of a closed project, and whoever knew their refs was still given posts."""
    world = World()
    posted, waiting, late = uuid4(), uuid4(), uuid4()
    world.all_told(project(), shift(posts=1, waitlist=5), request(posted, ref="r"), request(waiting))
    world.told(project(version=2, state="closed"))
    assert only(SignupRefused, world.told(request(late))).reason == "not_open"
    only(SignupConfirmed, world.told(request(posted, ref="r")))
    # Who stands in line when it closes is served, as after the close of sign-up.
    assert [type(message) for message in world.told(withdraw(posted, ref="r"))] == [SignupWithdrawn, SignupPromoted]
    world.told(project(version=3))
    only(SignupWaitlisted, world.told(request(late), hour(-0.5)))


def test_lowering_posts_is_no_overbooking_and_each_post_tells_what_was_allotted_when_it_was_given() -> None:
    world = World()
    people = [uuid4() for _ in range(5)]
    world.all_told(shift(posts=2, waitlist=5), *map(request, people), shift(version=2, posts=1, waitlist=5))
    world.all_told(withdraw(people[0]), withdraw(people[1]), shift(version=3, posts=3, waitlist=5))
    assert [(row.outcome, row.confirmed, row.posts) for row in world.outcomes] == [
        ("confirmed", 1, 2),
        ("confirmed", 2, 2),
        ("waitlisted", None, None),
        ("waitlisted", None, None),
        ("waitlisted", None, None),
        ("withdrawn", None, None),
        ("withdrawn", None, None),
        ("promoted", 1, 1),
        ("promoted", 2, 3),
        ("promoted", 3, 3),
    ]
