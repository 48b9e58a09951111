"""What the border keeps, a row type per table: refs and their persons, links, consent, service records, transfers, and
the timeline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from contracts.consent import Standing
from contracts.frozen import frozen
from contracts.messages.base import AgeBand
from contracts.messages.deliveries import TransferState
from contracts.messages.service import ServiceRecord
from services.bridge.steps import What

__all__ = [
    "OPEN",
    "UNDER_WAY",
    "WAITING",
    "Account",
    "ConsentState",
    "Link",
    "LinkUnderWay",
    "Pause",
    "RecordKey",
    "Refusal",
    "RegistryMessage",
    "ServiceState",
    "Step",
    "Transfer",
]

RecordKey: TypeAlias = tuple[str, str]
"""host, record_ref"""

WAITING: Final = ("queued", "withheld")
UNDER_WAY: Final = ("sent", "uncertain")
OPEN: Final = (*WAITING, *UNDER_WAY)
"""States out of which a transfer can still move."""
_RESTS_KEPT: Final = 16
"""Of each link only the newest 16 rests are kept."""


@frozen
class Account:
    """A registry's ref that is linked, and the person behind it."""

    registry: str
    ref: str
    person: UUID
    role: Literal["home", "host"]


@frozen
class LinkUnderWay:
    """Link requests of a host about a ref that identity has not answered. The ref is the host's own or the home's."""

    registry: str
    ref: str
    host: str
    """The host that asked: ``registry`` itself, or the host to which the volunteer of ``registry`` is to be linked."""
    requests: int
    """How many LinkRequested have no answer. Identity answers each request once; the last answer deletes the row."""
    newest_at: datetime
    """When the border admitted the newest of them."""

    @property
    def account(self) -> tuple[str, str]:
        """Registry and ref."""
        return (self.registry, self.ref)


@frozen
class Link:
    """The link of a host's ref to a person of a home, with the values that the border copies into commands."""

    person: UUID
    host: str
    host_ref: str
    home: str
    home_ref: str
    age_band: AgeBand
    guardian_approved: bool
    link_version: int
    state: Literal["active", "broken"]
    since: datetime
    """Since when ``state`` holds, by the time in identity's event."""
    rests: tuple[tuple[datetime, datetime], ...] = ()
    """The earlier rests, each from when until when, the newest at the end."""

    def broken_at(self, moment: datetime) -> bool:
        """Whether the link rested at this moment. A message from before a break is accepted (bridge/DECISIONS §9).

        A message from the time of a rest is not accepted, even where it is read after the restoration. Therefore a
        replay decides as the first decision did.
        """
        if self.state == "broken" and moment >= self.since:
            return True
        return any(begin <= moment < end for begin, end in self.rests)

    def rest_from(self, moment: datetime, version: int) -> Link:
        """The link rests from this moment on, or from the earlier break if that break is not taken back."""
        since = min(self.since, moment) if self.state == "broken" else moment
        return replace(self, state="broken", link_version=version, since=since)

    def hold_from(self, moment: datetime, version: int) -> Link:
        """The link is active again from this moment on."""
        rest = ((self.since, moment),) if self.state == "broken" and self.since < moment else ()
        rests = (*self.rests, *rest)[-_RESTS_KEPT:]
        return replace(self, state="active", link_version=version, since=moment, rests=rests)

    def ref_at(self, registry: str) -> str:
        """Her ref in the home or in the host."""
        return self.home_ref if registry == self.home else self.host_ref


@frozen
class ConsentState:
    """Consent of a home's volunteer for one host. Kept by refs: it may come before the link (rules 38-40)."""

    home: str
    home_ref: str
    host: str
    version: int
    state: Literal["given", "withdrawn"]
    valid_until: datetime | None

    @property
    def account(self) -> tuple[str, str]:
        """Home and its ref."""
        return (self.home, self.home_ref)

    def expired(self, moment: datetime) -> bool:
        """Whether a giving has run out by this moment."""
        return self.valid_until is not None and moment >= self.valid_until

    @property
    def standing(self) -> Standing:
        """The same in the form that ``contracts.consent`` judges."""
        return Standing(self.version, self.state, self.valid_until)


@frozen
class ServiceState:
    """One service record by attendance's newest decision, and the minutes of it that the home has booked."""

    host: str
    record_ref: str
    person: UUID
    home: str
    record: ServiceRecord
    state: Literal["confirmed", "held", "revoked"]
    reason: str | None
    minutes: int
    """Minutes of the newest version. Minutes of a held version do not count yet."""
    settled_version: int
    """The last version that was confirmed or revoked, 0 before the first. ``total`` is its minutes."""
    total: int
    posted: int
    """Sum of the deltas that the home accepted."""
    transfer_id: UUID | None
    """The latest transfer."""

    @property
    def record_key(self) -> RecordKey:
        """Host and record_ref."""
        return (self.host, self.record_ref)


@frozen
class Transfer:
    """One confirmed or revoked version of a service record on its way home."""

    id: UUID
    host: str
    record_ref: str
    person: UUID
    home: str
    home_ref: str
    version: int
    record: ServiceRecord
    total: int
    delta: int
    """``total`` less what earlier transfers posted. It can change until the transfer is sent for the first time."""
    state: TransferState
    reason: str | None
    attempts: int
    """How often it was sent or asked about. A timer that names an earlier attempt does nothing."""
    unanswered: tuple[int, ...]
    """The attempts that were CreditPosted and have no definite answer. While there is one, the home may have booked the
    transfer. There are several only where the home is idempotent."""
    queried: bool
    """Whether the last message that was sent is a CreditQueried."""
    changed_at: datetime

    @property
    def record_key(self) -> RecordKey:
        """Host and record_ref."""
        return (self.host, self.record_ref)

    @property
    def in_the_way(self) -> bool:
        """Whether later versions must wait for it, since the home may have booked it or may still book it."""
        return self.state in UNDER_WAY or (self.state in WAITING and bool(self.unanswered))

    @property
    def open_of(self) -> RecordKey | None:
        """Its record, while its state can still change; None after that."""
        return self.record_key if self.state in OPEN else None

    @property
    def withheld_for(self) -> tuple[UUID, str, str | None] | None:
        """Person, host and reason, while this reason may be why it is not sent or repeated."""
        return (self.person, self.host, self.reason) if self.state in ("withheld", "uncertain") else None


@frozen
class Step:
    """Something that happened to a person's links, sign-ups or hours, for her timeline. Append-only."""

    id: UUID
    person: UUID
    at: datetime
    """When the border decided the message that told it."""
    happened_at: datetime
    """The time of the message that told it."""
    what: What
    host: str
    subject: str
    """The sign-up's id or the record_ref; empty for links and consent."""
    detail: dict[str, str | int | None]


@frozen
class Refusal:
    """A MessageRefused that was sent, to be counted. Append-only."""

    id: UUID
    registry: str
    reason: str
    message_type: str
    at: datetime


@frozen
class RegistryMessage:
    """A registry's message that led to something on an inner topic, where it goes by the border's ``id`` alone: the
    way back from there. Append-only."""

    id: UUID
    """``Inbound.own_id``."""
    registry: str
    message_id: str
    message_type: str


@frozen
class Pause:
    """An operator paused this registry: nothing of it is read, and no credit is sent to it.

    After an operator resumed it, it is read again. Credits are sent once all is applied that it had said before that: a
    consent may be withdrawn in it. Then the row is deleted.
    """

    registry: str
    operator: str
    why: str
    since: datetime
    resumed_at: datetime | None = None
