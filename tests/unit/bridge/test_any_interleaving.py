"""Versions, receipts, consent, breaks and timers in any order: no minute doubled, none lost, none sent unasked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.messages import receipts
from contracts.messages.base import Message
from contracts.messages.deliveries import CreditPosted, CreditQueried
from contracts.registry import Capability
from services.bridge.states import OPEN, ServiceState, Transfer
from tests.support.bridge import World
from tests.support.bridge_messages import HOME, HOME_REF, T0, broken, restored

STATES_OF_THE_LATEST = {
    "credited": "credited",
    "withheld": "withheld",
    "refused": "refused",
    "uncertain": "uncertain",
    "queued": "in_flight",
    "sent": "in_flight",
}


class Ledger:
    """A home that keeps its word: one booking a transfer, the first lasting answer repeated for ever."""

    def __init__(self) -> None:
        self.booked: dict[UUID, int] = {}
        self.refused: set[UUID] = set()

    def take(self, credit: CreditPosted, mood: str) -> Message:
        own: dict[str, Any] = {"transfer_id": credit.transfer_id, "volunteer_ref": HOME_REF}
        known = credit.transfer_id in self.booked or credit.transfer_id in self.refused
        if mood == "later" and not known:
            return receipts.CreditRefused(**own, reason="later", retry=True)
        if mood == "never" and not known:
            self.refused.add(credit.transfer_id)
        return self.answer(credit.transfer_id, credit)

    def answer(self, transfer: UUID, credit: CreditPosted | None = None) -> Message:
        own: dict[str, Any] = {"transfer_id": transfer, "volunteer_ref": HOME_REF}
        if transfer in self.refused:
            return receipts.CreditRefused(**own, reason="never")
        if credit is not None:
            assert self.booked.setdefault(transfer, credit.delta) == credit.delta, "one id, two amounts"
        if transfer in self.booked:
            return receipts.CreditAccepted(**own, delta=self.booked[transfer], posted_at=T0)
        return receipts.CreditUnknown(**own)

    @property
    def minutes(self) -> int:
        return sum(self.booked.values())


class OneRecord(RuleBasedStateMachine):
    """One volunteer's one record, her consent and link, and a home that may be slow, deaf or doubled."""

    @initialize(capability=st.sampled_from(["idempotent", "queryable", "neither"]))
    def begin(self, capability: Capability) -> None:
        self.capability = capability
        self.world = World(capability)
        self.world.link()
        self.home = Ledger()
        self.version = 0
        self.settled = 0
        self.total = 0
        self.consent_version = 1
        self.link_version = 1
        self.allowed, self.tied = True, True
        self.post: list[CreditPosted | CreditQueried] = []
        self.answers: list[Message] = []
        self.seen = 0

    def _look(self) -> None:
        """Take the new deliveries to the home; none may be a credit that was not allowed when it was sent."""
        for send in self.world.sent[self.seen :]:
            if isinstance(send.message, CreditPosted):
                assert self.allowed, "sent without consent"
                assert self.tied, "sent under a broken link"
            if isinstance(send.message, CreditPosted | CreditQueried):
                self.post.append(send.message)
        self.seen = len(self.world.sent)

    @rule(minutes=st.integers(1, 600), back=st.integers(0, 2))
    def a_version_is_confirmed(self, minutes: int, back: int) -> None:
        self.version += 1
        version = max(1, self.version - back)
        self.world.confirm(version, minutes)
        if version > self.settled:
            self.settled, self.total = version, minutes
        self._look()

    @rule()
    def the_record_is_revoked(self) -> None:
        self.version += 1
        self.world.revoke(self.version)
        self.settled, self.total = self.version, 0
        self._look()

    @rule(minutes=st.integers(1, 600))
    def a_version_is_held(self, minutes: int) -> None:
        self.version += 1
        self.world.hold(self.version, minutes)
        self._look()

    @rule(newer=st.booleans())
    def consent_is_given(self, newer: bool) -> None:
        self.consent_version += newer
        self.allowed = self.allowed or newer
        self.world.give(self.consent_version)
        self._look()

    @rule()
    def consent_is_withdrawn(self) -> None:
        self.allowed = False
        self.world.withdraw(self.consent_version)
        self._look()

    @precondition(lambda self: self.tied)
    @rule()
    def the_link_is_broken(self) -> None:
        self.link_version += 1
        self.tied = False
        self.world.hear(broken(self.link_version))
        self._look()

    @precondition(lambda self: not self.tied)
    @rule()
    def the_link_is_restored(self) -> None:
        self.link_version += 1
        self.tied = True
        self.world.hear(restored(self.link_version))
        self._look()

    @rule(seconds=st.sampled_from([1, 30, 300, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(timedelta(seconds=seconds))
        self._look()

    @precondition(lambda self: self.post)
    @rule(
        mood=st.sampled_from(["book", "book", "later", "never"]),
        fate=st.sampled_from(["told", "kept", "lost", "twice"]),
    )
    def the_home_reads_its_post(self, mood: str, fate: str) -> None:
        """In order, as from a partition. Its answer arrives, or waits, or is lost, or comes twice."""
        message = self.post.pop(0)
        if isinstance(message, CreditPosted):
            answer = self.home.take(message, mood)
        else:
            answer = self.home.answer(message.transfer_id)
        if fate != "lost":
            self.answers.append(answer)
        # A queryable home's "later" or "not seen" said twice would be two answers to one question.
        if fate == "twice" and isinstance(answer, receipts.CreditAccepted):
            self.answers.append(answer)
        if fate != "kept":
            self._one_answer_arrives()

    @precondition(lambda self: self.answers)
    @rule()
    def an_answer_arrives(self) -> None:
        self._one_answer_arrives()

    def _one_answer_arrives(self) -> None:
        if self.answers:
            self.world.say(HOME, self.answers.pop(0))
            self._look()

    @invariant()
    def one_transfer_at_a_time_may_be_booked(self) -> None:
        if self._transfers():
            assert sum(transfer.in_the_way for transfer in self._transfers()) <= 1

    @invariant()
    def the_books_say_what_the_home_said(self) -> None:
        if self._transfers():
            credited = [transfer for transfer in self._transfers() if transfer.state == "credited"]
            assert self._service().posted == sum(transfer.delta for transfer in credited)
            newest = max((t for t in credited), key=lambda t: t.version, default=None)
            assert self._service().posted == (newest.total if newest else 0)

    @invariant()
    def every_minute_stands_in_the_state_of_the_latest_transfer(self) -> None:
        if self._transfers():
            service, latest = self._service(), max(self._transfers(), key=lambda transfer: transfer.version)
            assert (service.total, service.transfer_id) == (self.total, latest.id)
            assert latest.state in STATES_OF_THE_LATEST
            assert latest.state != "credited" or service.total == service.posted

    @invariant()
    def what_is_not_under_way_waits_for_something(self) -> None:
        """A transfer that is due to go and for which nothing would ever come is a lost one."""
        if self._transfers():
            for transfer in self._transfers():
                if transfer.state == "sent" or (transfer.state == "queued" and transfer.attempts):
                    assert f"transfer:{transfer.id}" in self.world.timers
                if transfer.state == "queued" and not transfer.attempts:
                    assert any(other.in_the_way for other in self._transfers())
                if transfer.state == "withheld":
                    assert not (self.allowed and self.tied)

    def teardown(self) -> None:
        """With consent, link and a home that answers, all comes to rest and the home has the last total."""
        if not hasattr(self, "world") or not self._transfers():
            return
        self.consent_version += 1
        self.allowed = True
        self.world.give(self.consent_version)
        if not self.tied:
            self.the_link_is_restored()
        self._look()
        for _ in range(60):
            while self.post or self.answers:
                if self.post:
                    self.the_home_reads_its_post("book", "told")
                self._one_answer_arrives()
            self.world.pass_time(timedelta(hours=1))
            self._look()
        open_ones = [transfer for transfer in self._transfers() if transfer.state in OPEN]
        if self.capability == "neither" and open_ones:
            return  # an answer was lost and nobody may ask: it stands uncertain, visibly
        assert open_ones == []
        latest = max(self._transfers(), key=lambda transfer: transfer.version)
        assert self._service().posted == self.home.minutes
        assert latest.state == "refused" or self.home.minutes == self.total

    def _service(self) -> ServiceState:
        return self.world.service()

    def _transfers(self) -> list[Transfer]:
        return self.world.states.group(Transfer, "record_key", ("gz", "R1")) if hasattr(self, "world") else []


TestOneRecord = OneRecord.TestCase
TestOneRecord.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
