"""``opportunities.commands.v1`` and ``opportunities.events.v1``: shifts, posts and sign-ups. Key: host:project."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from contracts.messages.base import AgeBand, Count, Instant, Message, Origin, ReasonCode, Ref, RegistryCode
from contracts.messages.shifts import ProjectPublished, ShiftPublished


class OfProject(Message, abstract=True):
    """Base of messages about a host's project."""

    host: RegistryCode
    project_ref: Ref

    @property
    def key(self) -> str:
        """Its host and the project."""
        return f"{self.host}:{self.project_ref}"


class PublishProject(OfProject):
    """Keep the host's project as it stands in ``project``."""

    project: ProjectPublished
    origin: Origin


class PublishShift(OfProject):
    """Keep the host's shift as it stands in ``shift``."""

    shift: ShiftPublished
    origin: Origin


class OfSignup(OfProject, abstract=True):
    """Base of messages about a sign-up: commands and events."""

    signup_id: Annotated[
        UUID, Field(description="UUIDv5(person, host:project:shift): both apps at once are one sign-up.")
    ]
    person: UUID
    shift_ref: Ref
    asker: RegistryCode
    signup_ref: Ref
    origin: Origin

    @property
    def subject(self) -> str:
        """The sign-up."""
        return str(self.signup_id)


class RequestSignup(OfSignup):
    """Give this person a post. The bridge adds what it knows of her; the event's time decides."""

    age_band: AgeBand
    guardian_approved: bool
    link_version: Count
    consent_version: Count
    at_least: Annotated[
        int | None, Field(ge=1, le=18, description="The home's word that she is at least this old, in years.")
    ] = None


class WithdrawSignup(OfSignup):
    """Give the post, or the place in the waitlist, back. Refused once the shift has begun; the event's time decides."""


class CloseWaitlist(OfProject):
    """The shift has begun: a volunteer who is still in its line gets no post. A timer of opportunities."""

    shift_ref: Ref
    origin: Annotated[Origin, Field(description="The request that was the last to be put in line.")]


class ReportSignup(OfSignup):
    """She is busy at home then (host = home): this occupies her window and takes no post."""

    starts_at: Instant
    ends_at: Instant
    state: Literal["active", "withdrawn"]


class _SignupFact(OfSignup, abstract=True):
    starts_at: Instant | None = None
    ends_at: Instant | None = None


class SignupConfirmed(_SignupFact):
    """She has a post."""


class SignupWaitlisted(_SignupFact):
    """All posts are taken; she stands in line and her window counts as taken."""


class SignupPromoted(_SignupFact):
    """A post became free and is hers."""


class SignupRefused(_SignupFact):
    """She gets no post, and why. Final for a request; a new request is a new decision.

    A window reported at home that clashes is kept: SignupNoted follows once the sign-up that it lost to has ended.
    """

    reason: ReasonCode


class SignupWithdrawn(_SignupFact):
    """The post, the place in line or the reported window is free again. ``reason`` when nobody gave it back: the host
    cancelled (shift_cancelled), or no post came free before the shift began (waitlist_closed)."""

    reason: ReasonCode | None = None
    withdrawn_at: Annotated[
        Instant | None,
        Field(description="When it ended. After the shift's begin: a service that began before counts. None: unknown."),
    ] = None


class SignupNoted(_SignupFact):
    """A reported window at home stands (host = home)."""


class CommandRefused(OfProject):
    """A project or shift version, or a withdrawal of nothing or too late, could not be followed."""

    reason: ReasonCode
    origin: Origin
    person: Annotated[UUID | None, Field(description="Whose sign-up the command was about.")] = None
