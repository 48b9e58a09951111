"""``attendance.commands.v1`` and ``attendance.events.v1``: presence and service records. Key: person."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from contracts.messages.base import (
    Instant,
    Message,
    Minutes,
    Origin,
    ReasonCode,
    Ref,
    RegistryCode,
    Sha256,
    Version,
)
from contracts.messages.service import Method, Outcome, ServiceRecord, Tier


class _OfPerson(Message, abstract=True):
    person: UUID
    host: RegistryCode
    signup_id: UUID

    @property
    def key(self) -> str:
        return str(self.person)


class _Presence(_OfPerson, abstract=True):
    project_ref: Ref
    shift_ref: Ref
    at: Instant
    method: Method
    origin: Origin

    @property
    def subject(self) -> str:
        return str(self.signup_id)


class RecordCheckIn(_Presence):
    """Keep that she was there."""


class RecordCheckOut(_Presence):
    """Keep that she left."""


class AttestService(_OfPerson):
    """Confirm, hold or revoke this version of the record."""

    record: ServiceRecord
    home: Annotated[
        RegistryCode | None, Field(description="Her home, whose policy has the day's cap and the time to travel.")
    ] = None
    origin: Origin

    @property
    def subject(self) -> str:
        """The record."""
        return f"{self.host}:{self.record.record_ref}"


class ReviewService(_OfPerson):
    """A person decided about a held version: approve it, or leave it held."""

    record_ref: Ref
    version: Version
    reviewer: Ref
    tier: Tier
    outcome: Outcome
    reason: ReasonCode
    evidence_digest: Sha256 | None = None
    origin: Origin

    @property
    def subject(self) -> str:
        """The record."""
        return f"{self.host}:{self.record_ref}"


class _ServiceFact(_OfPerson, abstract=True):
    record: ServiceRecord
    minutes: Annotated[Minutes, Field(description="What this version is worth: the record's minutes, 0 when revoked.")]

    @property
    def subject(self) -> str:
        return f"{self.host}:{self.record.record_ref}"


class ServiceConfirmed(_ServiceFact):
    """The linkage confirms this version, whole. It counts until a later version is confirmed or revoked.

    The versions of policy that decided are named by the moment from which they count; a seat without one has none.
    """

    host_policy: Instant | None = None
    home_policy: Instant | None = None
    approved_by: Annotated[Tier | None, Field(description="Who approved it, where it did not count by itself.")] = None


class ServiceHeld(_ServiceFact):
    """This version does not count yet; the host's minutes are not altered. Decided again when the reason falls away."""

    reason: ReasonCode


class ServiceRevoked(_ServiceFact):
    """The host took the record back: its total is 0."""


class CommandRefused(_OfPerson):
    """An attestation or presence could not be followed: a version with other content, a check-out without a check-in
    before it, a record too many of a person's day."""

    reason: ReasonCode
    origin: Origin
