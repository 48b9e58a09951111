"""Versions, receipts, consent, breaks and timers in any order: no minute doubled, none lost, none sent unasked."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.messages.base import Message
from contracts.messages.deliveries import CreditPosted, CreditQueried
from contracts.registry import Capability
from services.bridge.states import OPEN, ServiceState, Transfer
from tests.support.bridge import World
from tests.support.bridge_messages import HOME, broken, restored
from tests.support.home_ledger import Ledger

STATES_OF_THE_LATEST = {
    "credited": "credited",
    "withheld": "withheld",
    "refused": "refused",
    "uncertain": "uncertain",
    "queued": "in_flight",
    "sent": "in_flight",
}


FATES = ("told", "kept", "lost", "twice")


class Conversation(RuleBasedStateMachine):
    """One volunteer's one record, and a home that may be slow or deaf, that loses answers and says them again."""

    @initialize(capability=st.sampled_from(["idempotent", "queryable", "neither"]), names_attempts=st.booleans())
    def begin(self, capability: Capability, names_attempts: bool) -> None:
        self.capability = capability
        self.world = World(capability)
        self.world.link()
        self.home = Ledger(capability, names_attempts=names_attempts)
        self.version = 0
        self.settled = 0
        self.total = 0
        self.consent_version = 1
        self.link_version = 1
        self.allowed, self.link_active = True, True
        self.post: list[CreditPosted | CreditQueried] = []
        self.answers: list[Message] = []
        self.given: list[Message] = []
        self.seen = 0
        self.a_version_is_confirmed(60, 0)

    def _look(self) -> None:
        """Take the new deliveries to the home; none may be a credit that was not allowed when it was sent."""
        for send in self.world.sent[self.seen :]:
            if isinstance(send.message, CreditPosted):
                bare = send.message.record is None
                assert bare == (not (self.allowed and self.link_active)), "only with consent and link it has its record"
                assert not bare or send.message.delta < 0, "without them it only takes minutes back"
                self._look_at(send.message)
            if isinstance(send.message, CreditPosted | CreditQueried):
                self.post.append(send.message)
        self.seen = len(self.world.sent)

    def _look_at(self, credit: CreditPosted) -> None:
        """What it carries home is what is missing there, whatever the bridge has heard of it by now."""
        others = sum(minutes for transfer, minutes in self.home.booked.items() if transfer != credit.transfer_id)
        assert others + credit.delta == credit.total, "the home has booked something else"
        for waiting in self.post:
            if isinstance(waiting, CreditPosted) and not self.home.knows(waiting.transfer_id):
                assert waiting.transfer_id == credit.transfer_id, "another one may yet be booked"
                assert self.home.idempotent, "the same one may yet be booked"
        assert self.home.idempotent or credit.transfer_id not in self.home.booked, "this one is booked"

    @rule(minutes=st.integers(1, 600), back=st.integers(0, 2))
    def a_version_is_confirmed(self, minutes: int, back: int) -> None:
        self.version += 1
        version = max(1, self.version - back)
        self.world.confirm(version, minutes)
        if version > self.settled:
            self.settled, self.total = version, minutes
        self._look()

    @rule(
        mood=st.sampled_from(["book", "later", "later", "never"]),
        fate=st.sampled_from(FATES),
        again=st.lists(st.integers(0, 9), max_size=2),
        waits=st.booleans(),
    )
    def a_round(self, mood: str, fate: str, again: list[int], waits: bool) -> None:
        """The home reads what there is, something that it said before comes again, and the next timer is due."""
        while self.post and len(self.answers) < 10:
            self._reads(mood, fate)
        for which in again:
            self._comes_again(which)
        if waits and self.world.timers:
            first = min(self.world.timers.values())
            self.world.pass_time(max(first - self.world.now, timedelta(0)))
            self._look()

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 5))
    def an_answer_arrives(self, which: int) -> None:
        """Any of those under way: what was said first may come last."""
        self._one_answer_arrives(which)

    def _reads(self, mood: str, fate: str) -> None:
        """In order, as from a partition. Its answer arrives, or waits, or is lost, or comes twice."""
        message = self.post.pop(0)
        answer = self.home.take(message, mood) if isinstance(message, CreditPosted) else self.home.answer(message)
        if fate != "lost":
            self.answers.append(answer)
            self.given.append(answer)
        if fate == "twice":
            self.answers.append(answer)
        if fate != "kept":
            self._one_answer_arrives(0)

    def _comes_again(self, which: int) -> None:
        """However long ago it was given, under a new id."""
        if self.given:
            self.world.say(HOME, self.given[-1 - which % len(self.given)])
            self._look()

    def _one_answer_arrives(self, which: int) -> None:
        if self.answers:
            self.world.say(HOME, self.answers.pop(which % len(self.answers)))
            self._look()

    @invariant()
    def nothing_is_booked_twice(self) -> None:
        if self._transfers():
            assert len(self.home.booked) == len(self.home.bookings), "one transfer, two bookings"

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
                    assert not (self.allowed and self.link_active)
                    assert transfer.in_the_way or transfer.total >= self._service().posted, "it takes minutes back"

    def teardown(self) -> None:
        """With consent, link and a home that answers, all comes to rest and the home has the last total."""
        if not hasattr(self, "world") or not self._transfers():
            return
        self.consent_version += 1
        self.allowed = True
        self.world.give(self.consent_version)
        if not self.link_active:
            self.link_version += 1
            self.link_active = True
            self.world.hear(restored(self.link_version))
        self._look()
        for _ in range(60):
            while self.post or self.answers:
                if self.post:
                    self._reads("book", "told")
                self._one_answer_arrives(0)
            if not self.world.timers:
                break  # nothing is on its way, and nothing would ever come
            self.world.pass_time(timedelta(hours=1))
            self._look()
        open_ones = [transfer for transfer in self._transfers() if transfer.state in OPEN]
        if open_ones and (self.capability == "neither" or not (self.home.idempotent or self.home.names_attempts)):
            self._stands_visibly(open_ones)
            return
        assert open_ones == []
        latest = max(self._transfers(), key=lambda transfer: transfer.version)
        assert self._service().posted == self.home.minutes
        assert latest.state == "refused" or self.home.minutes == self.total

    def _stands_visibly(self, open_ones: list[Transfer]) -> None:
        """An answer was lost, or cannot be told from an old one, and to post again could book twice."""
        (doubtful,) = [transfer for transfer in open_ones if transfer.in_the_way]
        assert doubtful.state == "uncertain"
        assert self.home.minutes - self._service().posted in (0, doubtful.delta)

    def _service(self) -> ServiceState:
        return self.world.service()

    def _transfers(self) -> list[Transfer]:
        return self.world.rows(Transfer) if hasattr(self, "world") else []


class OneRecord(Conversation):
    """The same, while her consent and her link come and go."""

    @rule()
    def the_record_is_revoked(self) -> None:
        self.version += 1
        self.world.revoke(self.version)
        self.settled, self.total = self.version, 0
        self._look()

    @precondition(lambda self: self.post)
    @rule(mood=st.sampled_from(["book", "book", "later", "never"]), fate=st.sampled_from(FATES))
    def the_home_reads_one(self, mood: str, fate: str) -> None:
        self._reads(mood, fate)

    @rule(seconds=st.sampled_from([1, 30, 300, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(timedelta(seconds=seconds))
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

    @precondition(lambda self: self.link_active)
    @rule()
    def the_link_is_broken(self) -> None:
        self.link_version += 1
        self.link_active = False
        self.world.hear(broken(self.link_version))
        self._look()

    @precondition(lambda self: not self.link_active)
    @rule()
    def the_link_is_restored(self) -> None:
        self.link_version += 1
        self.link_active = True
        self.world.hear(restored(self.link_version))
        self._look()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=300, stateful_step_count=12, deadline=None)
TestOneRecord = OneRecord.TestCase
TestOneRecord.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
