"""What a registry writes into its books, whoever brought it: one frozen row type per kind of fact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from uuid import UUID

from contracts.messages.base import Instant

__all__ = [
    "Attested",
    "ConsentTold",
    "Credit",
    "Decided",
    "Entry",
    "Letter",
    "LinkAsked",
    "LinkTold",
    "Presence",
    "Project",
    "Query",
    "Refused",
    "Shift",
    "SignupAsked",
    "SignupTold",
    "TransferTold",
]

_NOT_KEPT: Final = {"kept": False}
"""Of a field that is no column of its table."""


@dataclass(frozen=True, slots=True)
class LinkAsked:
    """We offered one of our volunteers (role home), or took in a visitor's request (role host)."""

    ref: str
    registry: str
    role: Literal["home", "host"]


@dataclass(frozen=True, slots=True)
class LinkTold:
    """The state of the link, by the last LinkChanged."""

    ref: str
    registry: str
    state: Literal["established", "refused", "broken", "restored"]
    reason: str | None = None
    answers: str | None = field(default=None, metadata=_NOT_KEPT)
    """Which request of ours it answers. It may name another account than the request did."""


@dataclass(frozen=True, slots=True)
class ConsentTold:
    """Whether her service may be shared with ``registry``, as the linkage says."""

    ref: str
    registry: str
    state: Literal["given", "withdrawn"]
    version: int


@dataclass(frozen=True, slots=True)
class Project:
    """One of our projects in one version."""

    project_ref: str
    version: int
    title: str
    category: str
    organiser_ref: str
    state: str
    campaign_ref: str | None = None
    campaign_title: str | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """One of our shifts in one version; ``posts`` is what the linkage may fill."""

    project_ref: str
    shift_ref: str
    version: int
    starts_at: Instant
    ends_at: Instant
    signup_opens_at: Instant
    signup_closes_at: Instant
    posts: int
    waitlist_posts: int
    minimum_age: int
    division_code: str
    place: str
    state: str


@dataclass(frozen=True, slots=True)
class SignupAsked:
    """What a volunteer asked for through us, or a window she is busy in at home."""

    signup_ref: str
    ref: str
    host: str
    project_ref: str
    shift_ref: str
    state: Literal["requested", "withdrawn", "reported"]


@dataclass(frozen=True, slots=True)
class SignupTold:
    """How a sign-up stands, as the linkage says."""

    signup_id: UUID
    signup_ref: str
    asker: str
    ref: str
    host: str
    project_ref: str
    shift_ref: str
    state: str
    reason: str | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """She came or left."""

    message_id: str
    ref: str
    project_ref: str
    shift_ref: str
    at: Instant
    kind: Literal["in", "out"]
    method: str


@dataclass(frozen=True, slots=True)
class Attested:
    """One version of one service record, as one message of ours said it. ``minutes`` are raw."""

    message_id: str
    record_ref: str
    version: int
    ref: str
    project_ref: str
    shift_ref: str
    started_at: Instant
    ended_at: Instant
    break_minutes: int
    minutes: int
    evidence_class: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """How the linkage stands to a version of our record."""

    record_ref: str
    version: int
    state: Literal["confirmed", "held", "revoked"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TransferTold:
    """Where the minutes of our record are on their way to the visitor's home."""

    record_ref: str
    version: int
    home: str
    transfer_id: UUID
    state: str
    total: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A message of ours that the border turned away."""

    message_id: str
    reason: str
    pointer: str | None = None
    detail: str | None = None
    standing_version: int | None = None
    """Of a stale consent: the highest version that the linkage has seen; ours was no higher."""


@dataclass(frozen=True, slots=True)
class Credit:
    """Signed minutes to post for our volunteer, served elsewhere; ``total`` is what that record is worth now."""

    transfer_id: UUID
    ref: str
    host: str
    delta: int
    total: int
    record_ref: str
    version: int
    attempt: int | None = None
    """Which sending of it this is, where we are told; the answer says it again."""


@dataclass(frozen=True, slots=True)
class Query:
    """Was this transfer posted?"""

    transfer_id: UUID
    ref: str
    attempt: int | None = None


Entry: TypeAlias = (
    LinkAsked
    | LinkTold
    | ConsentTold
    | Project
    | Shift
    | SignupAsked
    | SignupTold
    | Presence
    | Attested
    | Decided
    | TransferTold
    | Refused
    | Credit
    | Query
)


@dataclass(frozen=True, slots=True)
class Letter:
    """Something that reached us: ``own`` was sent in our name, the rest is told by the linkage.

    ``ref`` is the volunteer of ours it speaks of, ``entry`` what to keep of it beyond the fact that it was sent.
    """

    source: str
    id: str
    at: Instant
    kind: str
    own: bool
    ref: str | None
    entry: Entry | None
