"""Entries of a registry's books, one frozen row type for each kind of fact, for both kinds of sandbox."""

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
"""Marks a field that is no column of its table."""


@dataclass(frozen=True, slots=True)
class LinkAsked:
    """We offered our volunteer (role home), or took a visitor's request (role host)."""

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
    """The request of ours that it answers. The answer may name another account than the request did."""


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
    """A sign-up that a volunteer asked for through us, or a window in which she is busy at home."""

    signup_ref: str
    ref: str
    host: str
    project_ref: str
    shift_ref: str
    state: Literal["requested", "withdrawn", "reported"]


@dataclass(frozen=True, slots=True)
class SignupTold:
    """The state of a sign-up, as the linkage says."""

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
    """One version of a service record, as our message said it. ``minutes`` are raw."""

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
    """The linkage's decision about a version of our record."""

    record_ref: str
    version: int
    state: Literal["confirmed", "held", "revoked"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TransferTold:
    """The state of our record's transfer to the visitor's home."""

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
    """If the consent was stale: the highest version that the linkage has seen. Ours was not higher."""


@dataclass(frozen=True, slots=True)
class Credit:
    """Signed minutes to post for our volunteer, who served elsewhere. ``total``: the minutes that the record is worth
    now. ``record_ref`` and ``version`` are None where minutes are taken back while nothing may be shared."""

    transfer_id: UUID
    ref: str
    host: str
    delta: int
    total: int
    record_ref: str | None
    version: int | None
    attempt: int | None = None
    """The number of this sending, if we are told it. The answer repeats the number."""


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
    """A message that reached us. ``own``: it was sent in our name; otherwise the linkage tells it.

    ``ref`` is our volunteer whom it concerns. ``entry`` is the entry to keep, beside the fact that it was sent.
    """

    source: str
    id: str
    at: Instant
    kind: str
    own: bool
    ref: str | None
    entry: Entry | None
