"""A home says the same thing again, late, or of an older attempt: what counts once, and what is not believed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.messages import receipts
from contracts.messages.deliveries import CreditPosted, CreditQueried
from contracts.registry import Capability
from tests.support.bridge import Sent, World, credits, linked
from tests.support.bridge_messages import HOME, HOME_REF

SECOND = timedelta(seconds=1)
named = pytest.mark.parametrize("named", [True, False], ids=["attempt named", "attempt not named"])


def later(world: World, attempt: int | None, version: int = 1) -> list[Sent]:
    """Not booked, for now."""
    return world.say(HOME, receipts.CreditRefused(**_own(world, version, attempt), reason="later", retry=True))


def cannot_say(world: World, attempt: int | None) -> list[Sent]:
    """Not seen, or not known."""
    return world.say(HOME, receipts.CreditUnknown(**_own(world, 1, attempt)))


def _own(world: World, version: int, attempt: int | None) -> dict[str, Any]:
    return {"transfer_id": world.transfer(version).id, "volunteer_ref": HOME_REF, "attempt": attempt}


def attempts(sends: list[Sent]) -> list[tuple[str, int | None]]:
    """What was sent about a transfer, with its number."""
    messages = [send.message for send in sends]
    return [(type(m).__name__, m.attempt) for m in messages if isinstance(m, CreditPosted | CreditQueried)]


@named
def test_a_first_later_that_comes_again_while_the_retry_is_booked_lets_no_correction_pass(named: bool) -> None:
    """It was taken for the retry's answer: the correction went out as a whole, and the home held 110 for 50."""
    world = linked("idempotent")
    world.confirm(1, 60)
    first = 1 if named else None
    later(world, first)
    assert attempts(world.pass_time(SECOND)) == [("CreditPosted", 2)]
    later(world, first)  # the retry is booked, its receipt is slow
    assert credits(world.confirm(2, 50)) == []
    assert world.transfer(1).in_the_way
    assert credits(world.accept(1)) == [-10]
    world.accept(2)
    assert (world.service().posted, world.transfer(1).state) == (50, "credited")


@named
def test_a_queryable_home_that_says_unknown_three_times_to_one_question_is_sent_the_credit_once_more(
    named: bool,
) -> None:
    """The second was taken for the answer to the next question, and the credit went out again: booked twice."""
    world = linked("queryable")
    world.confirm(1, 60)
    assert attempts(world.pass_time(30 * SECOND)) == [("CreditQueried", 2)]
    asked = 2 if named else None
    assert attempts(cannot_say(world, asked)) == [("CreditPosted", 3)]
    for _ in range(3):
        assert credits(cannot_say(world, asked)) == []
    world.accept(1)
    assert (world.service().posted, world.transfer(1).state) == (60, "credited")


@pytest.mark.parametrize("capability", ["queryable", "neither"])
@named
def test_a_later_that_comes_again_makes_no_home_book_twice_that_books_whatever_is_posted(
    capability: Capability, named: bool
) -> None:
    world = linked(capability)
    world.confirm(1, 60)
    first = 1 if named else None
    later(world, first)
    assert attempts(world.pass_time(SECOND)) == [("CreditPosted", 2)]
    later(world, first)
    assert credits(world.pass_time(timedelta(hours=1))) == []
    world.accept(1)
    assert (world.service().posted, world.transfer(1).state) == (60, "credited")


def test_each_attempt_of_a_home_that_answers_them_all_is_counted_and_the_correction_goes() -> None:
    world = linked("idempotent")
    world.confirm(1, 600)
    for _ in range(2):
        world.pass_time(60 * SECOND)
    assert world.transfer(1).unanswered == (1, 2, 3)
    world.confirm(2, 480)
    for attempt in (3, 1):
        assert credits(later(world, attempt)) == []
    assert credits(later(world, 2)) == [480]
    assert world.transfer(1).state == "superseded"


@pytest.mark.parametrize("capability", ["idempotent", "queryable", "neither"])
def test_a_home_that_names_attempts_may_say_later_as_often_as_it_must(capability: Capability) -> None:
    world = linked(capability)
    world.confirm(1, 60)
    for attempt in range(1, 12):
        later(world, attempt)
        assert attempts(world.pass_time(timedelta(minutes=5))) == [("CreditPosted", attempt + 1)]
    world.accept(1)
    assert world.service().posted == 60


def test_an_idempotent_home_that_names_no_attempt_is_tried_until_it_books_and_then_the_correction_goes() -> None:
    world = linked("idempotent")
    world.confirm(1, 60)
    later(world, None)
    world.pass_time(SECOND)
    world.confirm(2, 50)
    for _ in range(10):
        later(world, None)
        assert credits(world.pass_time(timedelta(minutes=5))) == [60]
    assert credits(world.accept(1)) == [-10]


@pytest.mark.parametrize("capability", ["queryable", "neither"])
def test_a_home_that_books_whatever_is_posted_and_names_no_attempt_is_retried_while_its_word_can_be_about_one_only(
    capability: Capability,
) -> None:
    world = linked(capability)
    world.confirm(1, 60)
    later(world, None)
    assert credits(world.pass_time(SECOND)) == [60]
    later(world, None)
    if capability == "queryable":
        assert attempts(world.pass_time(60 * SECOND)) == [("CreditQueried", 3)]
        cannot_say(world, None)
    else:
        world.pass_time(60 * SECOND)
    assert (world.transfer(1).state, credits(world.pass_time(timedelta(days=1)))) == ("uncertain", [])
    assert credits(world.confirm(2, 50)) == []
    assert credits(world.accept(1)) == [-10]


def test_a_home_that_refuses_a_posting_for_now_in_answer_to_the_question_about_it_gets_it_again() -> None:
    world = linked("queryable")
    world.confirm(1, 60)
    world.pass_time(30 * SECOND)
    later(world, 2)
    assert world.transfer(1).state == "queued"
    assert attempts(world.pass_time(2 * SECOND)) == [("CreditPosted", 3)]


def test_never_seen_in_answer_to_an_older_question_is_not_believed() -> None:
    world = linked("queryable")
    world.confirm(1, 60)
    world.pass_time(30 * SECOND)
    world.pass_time(60 * SECOND)
    assert attempts(cannot_say(world, 2)) == []
    assert attempts(cannot_say(world, 3)) == [("CreditPosted", 4)]


def test_what_a_home_says_of_an_attempt_that_was_never_made_is_refused() -> None:
    world = linked("idempotent")
    world.confirm(1, 60)
    later(world, 2)
    cannot_say(world, 7)
    assert world.refused(HOME) == ["not_sent"] * 2
    assert world.transfer(1).state == "sent"


def test_a_home_that_is_no_longer_idempotent_is_asked_before_it_is_given_again_what_it_may_have_booked() -> None:
    world = World("idempotent")
    world.link()
    world.confirm(1, 60)
    world.pass_time(30 * SECOND)
    later(world, 2)
    assert world.transfer(1).unanswered == (1,)
    world.configure(HOME, "active", capability="queryable")
    assert attempts(world.pass_time(timedelta(minutes=5))) == [("CreditQueried", 3)]
    assert attempts(cannot_say(world, 3)) == [("CreditPosted", 4)]
