"""The linkage numbers its attempts; the adapter calls once for all of them and answers each by its number."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from contracts.messages import Message, deliveries
from services.adapters import rules
from services.adapters.states import Credit, Lost, NotPosted, Outcome, Posted, Refused
from services.chassis.decisions import Decision, Inbound, States
from tests.support.adapters import states_of
from tests.support.registries import MORNING, credit, seat, told

POSTED = credit("H-1")
BOOKED = Posted(90, MORNING)
LATER = Refused("cap", retry=True)


def inbound(message: Message) -> Inbound:
    return Inbound(told(message), "registry.sz.deliveries.v1", uuid.uuid4(), MORNING)


def receive(states: States, attempt: int | None) -> Decision:
    posted = POSTED.model_copy(update={"attempt": attempt})
    return rules.receive(states, inbound(posted), MORNING, seat("idempotent"))


def ask(states: States, attempt: int | None) -> Decision:
    asked = deliveries.CreditQueried(volunteer_ref="H-1", transfer_id=POSTED.transfer_id, attempt=attempt)
    return rules.query(states, inbound(asked), MORNING, seat("queryable"))


def row(state: Any = "due", **more: Any) -> Credit:
    return Credit(POSTED.transfer_id, "H-1", POSTED, state, 0, MORNING, **more)


def named(messages: tuple[Message, ...]) -> list[tuple[str, int | None]]:
    return [(type(one).__name__, getattr(one, "attempt", None)) for one in messages]


def settled(asked: tuple[int, ...], outcome: Outcome, **more: Any) -> list[tuple[str, int | None]]:
    after, messages = rules.after_call(row(asked=asked, **more), outcome, seat("idempotent"), MORNING)
    assert after.asked == ()
    return named(messages)


@pytest.mark.parametrize("attempt", [1, None])
def test_a_new_credit_is_to_be_answered_for_its_attempt(attempt: int | None) -> None:
    (fresh,) = receive(states_of(), attempt).changes
    assert isinstance(fresh, Credit)
    assert fresh.asked == (() if attempt is None else (attempt,))


@pytest.mark.parametrize("state", ["due", "calling", "unknown"])
def test_attempts_that_come_while_the_first_is_under_way_are_answered_with_it(state: str) -> None:
    known = row(state, asked=(1,))
    (again,) = receive(states_of(known), 2).changes
    assert again == row(state, asked=(1, 2))
    (asked,) = ask(states_of(again), 3).changes
    assert asked == row(state, asked=(1, 2, 3))


def test_later_is_said_of_each_attempt_for_each_could_have_been_booked() -> None:
    assert settled((1, 2, 4), LATER) == [("CreditRefused", 1), ("CreditRefused", 2), ("CreditRefused", 4)]
    assert settled((), LATER) == [("CreditRefused", None)]


def test_a_lasting_answer_is_given_once_however_many_attempts_there_were() -> None:
    assert settled((1, 2), BOOKED) == [("CreditAccepted", 2)]
    assert settled((1, 2), Refused("closed", retry=False)) == [("CreditRefused", 2)]
    assert settled((), BOOKED) == [("CreditAccepted", None)]


def test_what_nobody_knows_is_said_of_the_newest_attempt() -> None:
    after, messages = rules.after_call(row(asked=(1,)), Lost("timeout"), seat("neither"), MORNING)
    assert (after.asked, named(messages)) == ((), [("CreditUnknown", 1)])
    question = Credit(POSTED.transfer_id, "H-1", None, "unknown", 0, MORNING, asked=(2, 3))
    after, messages = rules.after_call(question, NotPosted(), seat("queryable"), MORNING)
    assert (after.asked, named(messages)) == ((), [("CreditUnknown", 3)])


def test_what_is_not_answered_yet_keeps_its_attempts() -> None:
    for capability in ("idempotent", "queryable"):
        after, messages = rules.after_call(row(asked=(1, 2)), Lost("timeout"), seat(capability), MORNING)
        assert (after.asked, messages) == ((1, 2), ())


def test_an_answer_given_again_names_the_attempt_that_asked_for_it() -> None:
    known = states_of(row("accepted", posted_delta=90, posted_at=MORNING))
    for decide in (receive, ask):
        (sent,) = decide(known, 7).sends
        assert named((sent.message,)) == [("CreditAccepted", 7)]


def test_a_credit_refused_for_now_that_comes_again_is_answered_for_the_new_attempt_only() -> None:
    (again,) = receive(states_of(row("refused", reason="cap", retry=True)), 5).changes
    assert isinstance(again, Credit)
    assert (again.state, again.asked) == ("due", (5,))


def test_what_a_withdrawal_takes_back_is_refused_by_every_number() -> None:
    told_so = deliveries.ConsentChanged(volunteer_ref="H-1", registry="gz", state="withdrawn", version=1)
    states = states_of(row(asked=(1, 2)))
    decision = rules.change_consent(states, inbound(told_so), MORNING, seat("idempotent"))
    sent = tuple(one.message for one in decision.sends)
    assert named(sent) == [("CreditRefused", 1), ("CreditRefused", 2)]
