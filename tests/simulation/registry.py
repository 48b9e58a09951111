"""A registry as a strict stranger: what it was told, and a ledger that keeps its word."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka import TopicPartition

from contracts.envelope import Event, decode
from contracts.messages import Message, receipts, volunteers
from contracts.messages.deliveries import (
    ConsentChanged,
    CreditPosted,
    CreditQueried,
    LinkChanged,
    ServiceDecided,
    SignupChanged,
)
from contracts.messages.refusals import MessageRefused
from contracts.registry import Capability
from contracts.topics import DELIVERIES, REFUSALS
from tests.support.linkage import Log
from tests.support.transfers import record_ref_of

__all__ = ["Broken", "Registry", "Said"]

_MOODS: Final = ("accept",) * 8 + ("lost", "lost", "later", "later", "never", "deaf", "doubtful")


class Broken(AssertionError):
    """A promise was broken; the text says which."""


class Said(NamedTuple):
    """A message of a registry and when it was said."""

    message: Message
    at: datetime

    @property
    def hash_of_code(self) -> str:
        """Of a request for a link."""
        assert isinstance(self.message, volunteers.LinkRequested)
        return sha256(self.message.code.encode()).hexdigest()


@dataclass
class Registry:
    """One seat. It reads each partition of its deliveries in order, and answers credits."""

    code: str
    capability: Capability
    log: Log
    bookings: list[tuple[UUID, int]] = field(default_factory=list)
    refused: set[UUID] = field(default_factory=set)
    read: dict[TopicPartition, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    """The newest version of each service record that was attested."""
    attested: dict[tuple[str, int], Any] = field(default_factory=dict)
    sums: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Minutes booked, by host and record."""
    signups: dict[tuple[str, str], SignupChanged] = field(default_factory=dict)
    """The last word on each sign-up, by id and number."""
    links: dict[tuple[str, str], LinkChanged] = field(default_factory=dict)
    """The last word on each link, by ref and the other registry."""
    answers: dict[str, LinkChanged] = field(default_factory=dict)
    """To requests for a link, by their ids."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Reasons, by the ids of the messages refused."""
    reused: Counter[str] = field(default_factory=Counter)
    """How often it used an id again for something else; and how often it was told so."""
    told_reused: Counter[str] = field(default_factory=Counter)
    decided: dict[str, ServiceDecided] = field(default_factory=dict)
    """The last word on each record."""
    heard_of: set[str] = field(default_factory=set)
    """Sign-ups of its own asking that it was told of."""
    linked_at: dict[str, datetime] = field(default_factory=dict)
    """When it could know that a ref is linked."""
    said: dict[str, Said] = field(default_factory=dict)
    """All that it said, by id."""
    consents: dict[str, ConsentChanged] = field(default_factory=dict)
    honest: bool = False
    """Whether it answers everything, as it does in the end."""
    _seen: set[str] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.topics = (DELIVERIES.of(self.code).name, REFUSALS.of(self.code).name)

    def unread(self) -> list[TopicPartition]:
        places = [tp for topic in self.topics for tp in self.log.used.get(topic, ())]
        return [tp for tp in places if self.read.get(tp, 0) < len(self.log.partitions[tp])]

    def take(self, tp: TopicPartition, most: int, random: Random) -> list[Message]:
        """Read on in a partition; gives the receipts to say."""
        offset = self.read.get(tp, 0)
        records = self.log.partitions[tp][offset : offset + most]
        self.read[tp] = offset + len(records)
        said = [self._hear(decode(record.value, record.headers), random) for record in records]
        return [message for message in said if message is not None]

    def _hear(self, event: Event, random: Random) -> Message | None:
        if event.id in self._seen:
            return None
        self._seen.add(event.id)
        match event.data:
            case CreditPosted() as credit:
                return self._credit(credit, random)
            case CreditQueried() as asked:
                return self._answer(asked)
            case SignupChanged() as told:
                self.heard_of.add(told.signup_ref)
                if told.state != "refused":
                    self.signups[str(told.signup_id), told.signup_ref] = told
            case LinkChanged() as told:
                if told.answers is not None:
                    self.answers.setdefault(told.answers, told)
                if told.state == "refused":
                    return None
                self.linked_at.setdefault(told.volunteer_ref, self.log.clock.now())
                before = self.links.get((told.volunteer_ref, told.registry))
                same = before is not None and _holds(before) == _holds(told)
                self._newer(f"link {told.volunteer_ref} {told.registry}", told.link_version, or_same=same)
                self.links[told.volunteer_ref, told.registry] = told
            case ConsentChanged() as told:
                self._newer(f"consent {told.volunteer_ref}", told.version, or_same=True)
                self.consents[told.volunteer_ref] = told
            case ServiceDecided() as told:
                self.decided[told.record_ref] = told
            case MessageRefused(reason="reused_id") as told:
                self.told_reused[told.message_id] += 1
            case MessageRefused() as told:
                self.refusals[told.message_id] = told.reason
            case _:
                pass
        return None

    @property
    def offers(self) -> list[volunteers.LinkOffered]:
        """What it offered."""
        return [said.message for said in self.said.values() if isinstance(said.message, volunteers.LinkOffered)]

    def first_answer(self, code_hash: str) -> str | None:
        """The first of its requests with this code to which the answer was yes: a code that is spent says it again."""
        return next((id for id, told in self.answers.items()
                     if told.state == "established" and self.said[id].hash_of_code == code_hash), None)  # fmt: skip

    def _newer(self, what: str, version: int, *, or_same: bool) -> None:
        before = self._versions.get(what, 0)
        if version < before or (version == before and not or_same):
            raise Broken(f"{self.code} is told version {version} of {what} after {before}")
        self._versions[what] = version

    # -- the ledger --------------------------------------------------------------------------------------------------

    def _credit(self, credit: CreditPosted, random: Random) -> Message | None:
        booked = {transfer for transfer, _ in self.bookings}
        if credit.transfer_id in self.refused or (self.capability == "idempotent" and credit.transfer_id in booked):
            return self._answer(credit)
        mood = "accept" if self.honest else random.choice(_MOODS)
        if mood == "later":
            return receipts.CreditRefused(**_own(credit), reason="later", retry=True)
        if mood == "never":
            self.refused.add(credit.transfer_id)
            return self._answer(credit)
        if mood in ("accept", "lost") or (mood == "doubtful" and random.random() < 0.5):
            self._book(credit, booked)
        if mood in ("lost", "deaf"):
            return None
        return receipts.CreditUnknown(**_own(credit)) if mood == "doubtful" else self._answer(credit)

    def _book(self, credit: CreditPosted, booked: set[UUID]) -> None:
        if credit.transfer_id in booked:
            raise Broken(f"{self.code} was made to book transfer {credit.transfer_id} twice")
        self.bookings.append((credit.transfer_id, credit.delta))
        booked_before = [ref for host, ref in self.sums if host == credit.host]
        key = credit.host, record_ref_of(credit, booked_before)
        self.sums[key] += credit.delta
        if self.sums[key] != credit.total:
            raise Broken(f"{self.code} has {self.sums[key]} minutes of {key}, and was told that {credit.total} stand")

    def _answer(self, asked: CreditPosted | CreditQueried) -> Message:
        booked = dict(self.bookings)
        if asked.transfer_id in self.refused:
            return receipts.CreditRefused(**_own(asked), reason="never")
        if asked.transfer_id in booked:
            moment = self.log.clock.now()
            return receipts.CreditAccepted(**_own(asked), delta=booked[asked.transfer_id], posted_at=moment)
        return receipts.CreditUnknown(**_own(asked))


def _holds(told: LinkChanged) -> bool:
    return told.state in ("established", "restored")


def _own(asked: CreditPosted | CreditQueried) -> dict[str, Any]:
    return {"transfer_id": asked.transfer_id, "volunteer_ref": asked.volunteer_ref, "attempt": asked.attempt}
