"""When a registry's system is called again, and what the linkage is told."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import Message, deliveries
from contracts.registry import Capability
from services.adapters import rules
from services.adapters.states import Away, Credit, Lost, NotPosted, Outcome, Posted, Refused
from services.chassis.decisions import Decision, Inbound, States
from tests.support.adapters import states_of
from tests.support.registries import MORNING, credit, said, seat, told

CAPABILITIES: tuple[Capability, ...] = ("idempotent", "queryable", "neither")


def inbound(message: Message) -> Inbound:
    return Inbound(told(message), "registry.sz.deliveries.v1", uuid.uuid4(), MORNING)


def row(posted: deliveries.CreditPosted, **state: Any) -> Credit:
    fresh = Credit(posted.transfer_id, posted.volunteer_ref, posted, "due", 0, MORNING)
    return replace(fresh, **state)


def answers(decision: Decision) -> list[tuple[str, str, object]]:
    for one in decision.sends:
        assert one.topic.name == "registry.sz.receipts.v1"
        assert one.source == "urn:shuangcheng:registry:sz"
    return [said(one.message) for one in decision.sends]


def receive(states: States, posted: deliveries.CreditPosted) -> Decision:
    return rules.receive(states, inbound(posted), MORNING, seat("idempotent"))


ACCEPTED = {"state": "accepted", "posted_delta": 90, "posted_at": MORNING}


def test_a_credit_seen_for_the_first_time_is_due_at_once() -> None:
    posted = credit("H-1")
    decision = receive(states_of(), posted)
    assert decision.changes == (row(posted),)
    assert not decision.sends


def test_a_repeated_credit_gets_the_first_answer_without_a_call() -> None:
    posted = credit("H-1")
    decision = receive(states_of(row(posted, **ACCEPTED)), posted)
    assert not decision.changes
    assert answers(decision) == [("CreditAccepted", "H-1", 90)]


@pytest.mark.parametrize("state", ["due", "calling", "unknown"])
def test_a_credit_repeated_while_the_first_is_under_way_is_left_to_it(state: str) -> None:
    posted = credit("H-1")
    assert receive(states_of(row(posted, state=state)), posted) == Decision()


@pytest.mark.parametrize("state", [{"state": "due"}, {"state": "unknown"}, ACCEPTED])
def test_the_same_transfer_with_other_minutes_is_a_conflict(state: dict[str, Any]) -> None:
    posted = credit("H-1", 90)
    other = credit("H-1", 120, transfer_id=posted.transfer_id)
    decision = receive(states_of(row(posted, **state)), other)
    assert not decision.changes
    assert answers(decision) == [("CreditRefused", "H-1", "conflict")]


def test_a_refused_credit_that_comes_again_is_tried_again() -> None:
    posted = credit("H-1")
    (changed,) = receive(states_of(row(posted, state="refused", reason="cap", retry=True)), posted).changes
    assert changed.state == "due"


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_query_about_a_credit_under_way_is_answered_by_the_credit(capability: Capability) -> None:
    posted = credit("H-1")
    asked = deliveries.CreditQueried(volunteer_ref="H-1", transfer_id=posted.transfer_id)
    decision = rules.query(states_of(row(posted, state="unknown")), inbound(asked), MORNING, seat(capability))
    assert decision == Decision()


def test_a_query_about_a_transfer_never_seen_is_put_to_a_queryable_registry_only() -> None:
    asked = deliveries.CreditQueried(volunteer_ref="H-1", transfer_id=uuid.uuid4())
    for capability in CAPABILITIES:
        decision = rules.query(states_of(), inbound(asked), MORNING, seat(capability))
        if capability == "queryable":
            (question,) = decision.changes
            assert rules.next_step(question, capability) == "ask"
            assert not decision.sends
        else:
            assert not decision.changes
            assert answers(decision) == [("CreditUnknown", "H-1", None)]


def test_withdrawn_consent_stops_only_what_the_registry_has_surely_not_seen() -> None:
    waiting, tried, elsewhere, lowering = credit("H-1"), credit("H-1"), credit("H-1", host="fs"), credit("H-1", -60)
    told_so = deliveries.ConsentChanged(volunteer_ref="H-1", registry="gz", state="withdrawn", version=1)
    states = states_of(row(waiting), row(tried, state="unknown", attempts=1), row(elsewhere), row(lowering))
    decision = rules.change_consent(states, inbound(told_so), MORNING, seat("idempotent"))
    bare, *stopped = [change for change in decision.changes if isinstance(change, Credit)]
    assert bare == row(lowering.model_copy(update={"record": None})), "minutes are taken back, without their record"
    assert [(one.transfer_id, one.state, one.retry) for one in stopped] == [(waiting.transfer_id, "refused", True)]
    assert answers(decision) == [("CreditRefused", "H-1", "consent_withdrawn")]


def test_given_consent_stops_nothing() -> None:
    told_so = deliveries.ConsentChanged(volunteer_ref="H-1", registry="gz", state="given", version=2)
    decision = rules.change_consent(states_of(row(credit("H-1"))), inbound(told_so), MORNING, seat("idempotent"))
    assert not [change for change in decision.changes if isinstance(change, Credit)]
    assert not decision.sends


def test_a_lost_answer_means_again_ask_first_or_never_again() -> None:
    after = {
        capability: rules.after_call(row(credit("H-1")), Lost("timeout"), seat(capability), MORNING)
        for capability in CAPABILITIES
    }
    assert rules.next_step(after["idempotent"][0], "idempotent") == "post"
    assert rules.next_step(after["queryable"][0], "queryable") == "ask"
    assert after["neither"][0].state == "uncertain"
    assert [[said(one)[0] for one in messages] for _, messages in after.values()] == [[], [], ["CreditUnknown"]]


def test_retries_wait_longer_each_time_up_to_half_a_minute() -> None:
    waiting, waits = row(credit("H-1")), []
    for _ in range(12):
        waiting, _ = rules.after_call(waiting, Lost("timeout"), seat("idempotent"), MORNING)
        waits.append(waiting.due_at - MORNING)
    assert waits == sorted(waits)
    assert waits[0] < timedelta(seconds=1)
    assert waits[-1] == timedelta(seconds=30)


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_only_what_a_registry_surely_did_not_take_is_still_due(capability: Capability) -> None:
    posted = row(credit("H-1"))
    after, messages = rules.after_call(posted, Away("closed", surely=True), seat(capability), MORNING)
    assert (after.state, after.attempted_at, messages) == ("due", None, ())
    after, _ = rules.after_call(posted, Away("closed", surely=False), seat(capability), MORNING)
    assert after.state == ("uncertain" if capability == "neither" else "unknown")
    assert (after.attempted_at, after.trouble) == (MORNING, "closed")


def test_an_idempotent_registry_gets_the_same_id_again_after_a_503_as_soon_as_it_is_called_again() -> None:
    after, _ = rules.after_call(row(credit("H-1")), Away("503", surely=False), seat("idempotent"), MORNING)
    assert (rules.next_step(after, "idempotent"), after.due_at, after.attempts) == ("post", MORNING, 0)


def test_what_a_gateway_may_have_passed_on_before_it_said_503_is_not_taken_back_when_consent_is_withdrawn() -> None:
    """It was refused(consent_withdrawn, retry) as surely not posted, though it was: the next version doubled it."""
    posted = credit("H-1")
    after, _ = rules.after_call(row(posted), Away("503", surely=False), seat("idempotent"), MORNING)
    told_so = deliveries.ConsentChanged(volunteer_ref="H-1", registry="gz", state="withdrawn", version=1)
    decision = rules.change_consent(states_of(after), inbound(told_so), MORNING, seat("idempotent"))
    assert not [change for change in decision.changes if isinstance(change, Credit)]
    assert not decision.sends


def test_a_refusal_is_not_believed_while_a_call_that_was_given_up_may_still_be_under_way() -> None:
    """The second call was refused for now, the border let a correction pass, and then the first one was posted."""
    home, posted = seat("idempotent", settles=10), row(credit("H-1"))
    waiting, _ = rules.after_call(posted, Lost("timeout"), home, MORNING)
    now, refusal = MORNING, Refused("cap", retry=True)
    while waiting.state == "unknown":
        now = waiting.due_at
        waiting, messages = rules.after_call(waiting, refusal, home, now)
    assert now == MORNING + 10 * SECOND
    assert (waiting.state, [said(one) for one in messages]) == ("refused", [("CreditRefused", "H-1", "cap")])


def test_never_seen_is_believed_of_a_question_asked_once_nothing_can_be_under_way() -> None:
    home = seat("queryable", settles=10)
    asked, _ = rules.after_call(row(credit("H-1")), Lost("timeout"), home, MORNING)
    now, states = MORNING, []
    while asked.state == "unknown":
        states.append(asked.due_at - MORNING)
        now = asked.due_at + SECOND / 2
        asked, messages = rules.after_call(asked, NotPosted(), home, now)
        assert not messages
    assert states == sorted(states)
    assert states[-1] == 10 * SECOND
    assert len(states) > 3, "it was not asked in the meantime"
    assert asked.state == "due"


def test_an_answer_that_comes_when_all_is_quiet_to_a_question_asked_before_is_not_believed() -> None:
    early = row(credit("H-1"), state="unknown", attempted_at=MORNING, due_at=MORNING + 9 * SECOND)
    home = seat("queryable", settles=10)
    again, _ = rules.after_call(early, NotPosted(), home, MORNING + 11 * SECOND)
    assert (again.state, again.due_at) == ("unknown", MORNING + 10 * SECOND)
    assert rules.after_call(again, NotPosted(), home, MORNING + 11 * SECOND)[0].state == "due"


@pytest.mark.parametrize("outcome", [Lost("timeout"), Away("503", surely=False), NotPosted()])
def test_questions_do_not_begin_the_quiet_time_anew(outcome: Outcome) -> None:
    tried = row(credit("H-1"), state="unknown", attempted_at=MORNING)
    after, _ = rules.after_call(tried, outcome, seat("queryable"), MORNING + SECOND)
    assert (after.state, after.attempted_at) == ("unknown", MORNING)


def test_a_mere_question_about_what_was_never_attempted_is_believed_at_once() -> None:
    question = Credit(uuid.uuid4(), "H-1", None, "unknown", 0, MORNING)
    after, (message,) = rules.after_call(question, NotPosted(), seat("queryable"), MORNING)
    assert (after.state, said(message)) == ("uncertain", ("CreditUnknown", "H-1", None))


SETTLES = 10


class Home:
    """A ledger as the registry keeps it, behind a line that loses what hypothesis says; it posts late or not at all."""

    def __init__(self, capability: Capability) -> None:
        self.capability = capability
        self.posted: list[int] = []
        self.under_way: list[tuple[datetime, int]] = []

    def call(self, step: str, body: deliveries.CreditPosted, fate: str, now: datetime) -> Outcome:
        self.work(now)
        if fate in ("away", "closed"):
            return Away("503", surely=fate == "away")
        if fate == "closed_by_a_gateway":
            self.call(step, body, "posts_late", now)
            return Away("503", surely=False)
        if fate == "request_lost":
            return Lost("timeout")
        if fate == "refuses" and step == "post" and not (self.posted and self.capability == "idempotent"):
            return Refused("cap", retry=False)
        if step == "post":
            self.under_way.append((now + SETTLES * SECOND * (fate == "posts_late"), body.delta))
            self.work(now)
        if fate in ("answer_lost", "posts_late"):
            return Lost("timeout")
        return Posted(self.posted[0], MORNING) if self.posted else NotPosted()

    def work(self, now: datetime) -> None:
        for at, delta in self.under_way:
            if at <= now and not (self.posted and self.capability == "idempotent"):
                self.posted.append(delta)
        self.under_way = [one for one in self.under_way if one[0] > now]


FATES = [
    "away",
    "closed",
    "closed_by_a_gateway",
    "request_lost",
    "answer_lost",
    "posts_late",
    "refuses",
    "crash",
    "fine",
]


@given(st.sampled_from(CAPABILITIES), st.lists(st.tuples(st.sampled_from(FATES), st.integers(0, 7)), max_size=12))
def test_whatever_gets_lost_a_ledger_posts_at_most_once_and_the_answer_is_true(
    capability: Capability, fates: list[tuple[str, int]]
) -> None:
    posted, registry, now = credit("H-1", 45), seat(capability, settles=SETTLES), MORNING
    home, waiting = Home(capability), row(posted)
    given_receipts: list[Message] = []
    for fate, seconds in [*fates, *[("fine", SETTLES)] * 3]:
        if waiting.state not in ("due", "unknown"):
            break
        now = max(now, waiting.due_at) + seconds * SECOND
        step = rules.next_step(waiting, capability)
        if fate == "crash" and step != "give_up":
            home.call(step, posted, "posts_late", now)
            waiting = replace(waiting, state="unknown", attempted_at=now)
            continue
        outcome = Lost("cannot be asked") if step == "give_up" else home.call(step, posted, fate, now)
        waiting, messages = rules.after_call(waiting, outcome, registry, now)
        given_receipts += messages
    home.work(now + SETTLES * SECOND)
    assert len(home.posted) <= 1
    assert len(given_receipts) == 1
    kind, _, value = said(given_receipts[0])
    if kind == "CreditAccepted":
        assert home.posted == [45] == [value]
    elif kind == "CreditRefused":
        assert home.posted == []
    else:
        assert capability == "neither"
