"""What the border keeps: whose ref is whose, links, consent, service records, transfers, and what happened."""

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
"""Of a link that is broken and restored again and again, only so many rests are remembered."""


@frozen
class Account:
    """A registry's ref that is linked, and the person behind it."""

    registry: str
    ref: str
    person: UUID
    role: Literal["home", "host"]


@frozen
class LinkUnderWay:
    """What a host asked about a ref and identity has not answered yet. The ref is the host's own or the home's."""

    registry: str
    ref: str
    host: str
    """Who asked: ``registry`` itself, or the host to which the volunteer of ``registry`` is to be linked."""
    requests: int
    """LinkRequested without an answer; behind the last one the row goes. A number: identity gives each one answer."""
    newest_at: datetime
    """When the border admitted the newest of them."""

    @property
    def account(self) -> tuple[str, str]:
        """Registry and ref."""
        return (self.registry, self.ref)


@frozen
class Link:
    """The tie of a host's ref to a person of a home, with what the border stamps on commands."""

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
    """When it came to stand as it does, by the fact's own time."""
    rests: tuple[tuple[datetime, datetime], ...] = ()
    """From when until when it rested before, the newest of them at the end."""

    def broken_at(self, moment: datetime) -> bool:
        """Whether it rested at this moment: what happened before a break is still accepted (bridge/DECISIONS §9).

        What happened during one is not, also when it is read after the restoration: a replay decides as the day did.
        """
        if self.state == "broken" and moment >= self.since:
            return True
        return any(begin <= moment < end for begin, end in self.rests)

    def rest_from(self, moment: datetime, version: int) -> Link:
        """It rests from this moment on, or has done so since an earlier break that stands as well."""
        since = min(self.since, moment) if self.state == "broken" else moment
        return replace(self, state="broken", link_version=version, since=since)

    def hold_from(self, moment: datetime, version: int) -> Link:
        """It holds again from this moment on."""
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

    @property
    def standing(self) -> Standing:
        """What stands of all that was said."""
        return Standing(self.version, self.state, self.valid_until)


@frozen
class ServiceState:
    """One service record as attendance told it last, and what the home has booked of it."""

    host: str
    record_ref: str
    person: UUID
    home: str
    record: ServiceRecord
    state: Literal["confirmed", "held", "revoked"]
    reason: str | None
    minutes: int
    """What the newest version is worth; held minutes do not count yet."""
    settled_version: int
    """The last version confirmed or revoked, 0 before the first; ``total`` is what it is worth."""
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
    """One settled version on its way home."""

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
    """Total less what was posted; it can change until the transfer is sent for the first time."""
    state: TransferState
    reason: str | None
    attempts: int
    """How often it was sent or asked about; a timer of an earlier attempt means nothing."""
    unanswered: tuple[int, ...]
    """The attempts that were CreditPosted and have no definite answer: while there are any, the home may have booked
    it. More than one only where the home is idempotent."""
    queried: bool
    """A CreditQueried is the last thing that was sent."""
    changed_at: datetime

    @property
    def record_key(self) -> RecordKey:
        """Host and record_ref."""
        return (self.host, self.record_ref)

    @property
    def in_the_way(self) -> bool:
        """Whether a later version must wait for it: the home may have booked it, or may yet."""
        return self.state in UNDER_WAY or (self.state in WAITING and bool(self.unanswered))

    @property
    def open_of(self) -> RecordKey | None:
        """Its record, while it can still move."""
        return self.record_key if self.state in OPEN else None

    @property
    def held_back(self) -> tuple[UUID, str, str | None] | None:
        """Person, host and reason, while it may be held back for that reason."""
        return (self.person, self.host, self.reason) if self.state in ("withheld", "uncertain") else None


@frozen
class Step:
    """Something that happened to a person's links, sign-ups or hours, for her timeline. Append-only."""

    id: UUID
    person: UUID
    at: datetime
    """When the border knew it."""
    happened_at: datetime
    """The time of the message that told it."""
    what: What
    host: str
    subject: str
    """The sign-up's id or the record_ref; empty for links and consent."""
    detail: dict[str, str | int | None]


@frozen
class Refusal:
    """A MessageRefused that was sent, for the tally. Append-only."""

    id: UUID
    registry: str
    reason: str
    message_type: str
    at: datetime


@frozen
class Pause:
    """An operator's word that a registry rests: nothing of it is read, and no credit sent to it.

    Once it is resumed it is read again, and credits go when all is applied that it said meanwhile: a consent may have
    been withdrawn in it. Then the row is gone.
    """

    registry: str
    operator: str
    why: str
    since: datetime
    resumed_at: datetime | None = None
