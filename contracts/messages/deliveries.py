"""``registry.<code>.deliveries.v1``: what the linkage tells a registry, in its own refs. Key: volunteer_ref."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from contracts.messages.base import (
    AgeBand,
    Count,
    Delta,
    EventId,
    Instant,
    Message,
    Minutes,
    ReasonCode,
    Ref,
    RegistryCode,
    Version,
)
from contracts.messages.service import ServiceRecord

SignupState = Literal["confirmed", "waitlisted", "promoted", "refused", "withdrawn", "reported"]
TransferState = Literal["queued", "withheld", "sent", "uncertain", "credited", "refused", "superseded"]
Attempt = Annotated[
    int,
    Field(
        ge=1,
        le=1_000_000,
        description="Which sending about this transfer it is, from 1, CreditPosted and CreditQueried counted together."
        " A receipt says it again: one that names no attempt may be an old one that came twice, and is believed of the"
        " first attempt only.",
    ),
]


class _ToRegistry(Message, abstract=True):
    volunteer_ref: Ref

    @property
    def key(self) -> str:
        return self.volunteer_ref


class LinkChanged(_ToRegistry):
    """To both sides: how the link with ``registry`` stands. At ``established`` the host makes the full account.

    ``answers`` is the id of the host's LinkRequested to which this is the answer. At ``established`` the account is
    ``volunteer_ref``, also where the request named a new number.
    """

    registry: RegistryCode
    state: Literal["established", "refused", "broken", "restored"]
    reason: ReasonCode | None = None
    link_version: Count = 0
    age_band: AgeBand | None = None
    guardian_approved: bool | None = None
    answers: EventId | None = None


class ConsentChanged(_ToRegistry):
    """To both sides: whether service may be shared with ``registry``."""

    registry: RegistryCode
    state: Literal["given", "withdrawn"]
    version: Version


class SignupChanged(_ToRegistry):
    """To the home and to the shift's host, once if they are the same: how a sign-up stands, whole.

    Both apps may ask for one sign-up, each under its own ``signup_ref``: each ``signup_ref`` is told, with the same
    ``signup_id``. A refusal is about its own ``signup_ref`` alone: the sign-up with this id may stand all the same.
    """

    signup_id: UUID
    signup_ref: Ref
    asker: RegistryCode
    host: RegistryCode
    project_ref: Ref
    shift_ref: Ref
    state: SignupState
    reason: ReasonCode | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None

    @property
    def subject(self) -> str:
        """The sign-up."""
        return str(self.signup_id)


class ServiceDecided(_ToRegistry):
    """To the host: how the linkage stands to a version of its record. A held record does not count until it is
    confirmed."""

    record_ref: Ref
    version: Version
    state: Literal["confirmed", "held", "revoked"]
    reason: ReasonCode | None = None
    minutes: Minutes

    @property
    def subject(self) -> str:
        """The record."""
        return self.record_ref


class CreditPosted(_ToRegistry):
    """To the home: post ``delta`` under ``transfer_id``; ``total`` is what the record is worth now (0 when revoked).

    Minutes are taken back whatever became of consent and link since they were posted. While nothing may be shared, such
    a message has no ``record``; its ``delta`` is below 0.
    """

    transfer_id: UUID
    host: RegistryCode
    total: Minutes
    delta: Delta
    record: ServiceRecord | None = None
    attempt: Attempt | None = None

    @model_validator(mode="after")
    def _only_taking_back_needs_no_record(self) -> CreditPosted:
        if self.record is None and self.delta >= 0:
            raise ValueError("only a message that takes minutes back may leave out the record")
        return self

    @property
    def subject(self) -> str:
        """The transfer."""
        return str(self.transfer_id)


class CreditQueried(_ToRegistry):
    """To a queryable home: was this transfer posted? Answer as to CreditPosted, or CreditUnknown if it was not seen."""

    transfer_id: UUID
    attempt: Attempt | None = None

    @property
    def subject(self) -> str:
        """The transfer."""
        return str(self.transfer_id)


class CreditReported(_ToRegistry):
    """To the host: how the transfer of its record stands at the home."""

    record_ref: Ref
    version: Version
    home: RegistryCode
    transfer_id: UUID
    state: TransferState
    total: Minutes
    reason: ReasonCode | None = None

    @property
    def subject(self) -> str:
        """The record."""
        return self.record_ref
