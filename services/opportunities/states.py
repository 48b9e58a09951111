"""What opportunities keeps: projects, shifts with their allotment, sign-ups, and what each sign-up was told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from contracts.frozen import frozen
from contracts.messages.base import Origin
from contracts.messages.opportunities import PublishProject, PublishShift
from contracts.messages.shifts import Category

__all__ = [
    "ACTIVE",
    "Ask",
    "CommandRefusal",
    "EndReason",
    "Outcome",
    "Project",
    "Shift",
    "ShiftKey",
    "Signup",
    "SignupRefusal",
    "Wish",
    "project_name",
    "shift_name",
    "signup_name",
    "windows_name",
]

ShiftKey: TypeAlias = tuple[str, str, str]
"""host, project_ref, shift_ref"""

SignupRefusal: TypeAlias = Literal[
    "full",
    "clash",
    "too_young",
    "guardian_missing",
    "not_open",
    "already_signed_up",
    "shift_unknown",
    "shift_cancelled",
]
"""Why a request, or a reported window, gets nothing."""
EndReason: TypeAlias = Literal["shift_cancelled", "waitlist_closed"]
"""Why a sign-up ended that nobody gave back."""
CommandRefusal: TypeAlias = Literal[
    "no_signup", "already_signed_up", "too_many_reports", "window_fixed", "version_conflict"
]
"""Why a command is not followed."""

ACTIVE: Final = ("confirmed", "waitlisted", "reported")
"""States in which a sign-up occupies its window."""


def project_name(host: str, project_ref: str) -> str:
    """Lock name of a project."""
    return f"project:{host}:{project_ref}"


def shift_name(host: str, project_ref: str, shift_ref: str) -> str:
    """Lock name of a shift, and the fact that a request for an unknown one waits for."""
    return f"shift:{host}:{project_ref}:{shift_ref}"


def signup_name(signup_id: UUID) -> str:
    """Lock name of a sign-up."""
    return f"signup:{signup_id}"


def windows_name(person: UUID) -> str:
    """Lock name of a person's time. It sorts after all others: whose time a cancelled shift frees is known only once
    the shift is locked."""
    return f"windows:{person}"


@frozen
class Project:
    """A host's project as its last version says."""

    host: str
    project_ref: str
    version: int
    title: str
    category: Category
    campaign_ref: str | None
    campaign_title: str | None
    organiser_ref: str
    state: Literal["open", "closed"]

    @classmethod
    def of(cls, command: PublishProject) -> Project:
        """The project that a command publishes."""
        said = command.project
        return cls(
            host=command.host,
            project_ref=command.project_ref,
            version=said.version,
            title=said.title,
            category=said.category,
            campaign_ref=said.campaign.ref if said.campaign else None,
            campaign_title=said.campaign.title if said.campaign else None,
            organiser_ref=said.organiser_ref,
            state=said.state,
        )


@frozen
class Shift:
    """A host's shift as its last version says, and how much of its allotment is given."""

    host: str
    project_ref: str
    shift_ref: str
    version: int
    starts_at: datetime
    ends_at: datetime
    signup_opens_at: datetime
    signup_closes_at: datetime
    posts: int
    """The allotment. Below ``confirmed`` when the host lowered it: then nobody is added, and nobody sent away."""
    waitlist_posts: int
    minimum_age: int
    division_code: str
    place_text: str
    state: Literal["open", "cancelled"]
    confirmed: int
    waitlisted: int
    capacity: int
    """max(posts, confirmed) whenever posts change or a post comes back; giving a post never raises it."""
    last_position: int
    """The last place in line that was given out. Places are never given twice."""

    @classmethod
    def of(cls, command: PublishShift, known: Shift | None) -> Shift:
        """The shift that a command publishes, with what is given of the one known so far."""
        said = command.shift
        confirmed = known.confirmed if known else 0
        return cls(
            host=command.host,
            project_ref=command.project_ref,
            shift_ref=said.shift_ref,
            version=said.version,
            starts_at=said.starts_at,
            ends_at=said.ends_at,
            signup_opens_at=said.signup_opens_at,
            signup_closes_at=said.signup_closes_at,
            posts=said.posts,
            waitlist_posts=said.waitlist_posts,
            minimum_age=said.minimum_age,
            division_code=said.place.division_code,
            place_text=said.place.text,
            state=said.state,
            confirmed=confirmed,
            waitlisted=known.waitlisted if known else 0,
            capacity=max(said.posts, confirmed),
            last_position=known.last_position if known else 0,
        )

    @property
    def key(self) -> ShiftKey:
        """What sign-ups are grouped by."""
        return (self.host, self.project_ref, self.shift_ref)

    @property
    def free(self) -> int:
        """Posts of the allotment that nobody has."""
        return max(0, self.posts - self.confirmed)


class Wish(NamedTuple):
    """A window that home reported and that clashes. In order of who lost first."""

    clashed_at: datetime
    signup_id: UUID
    starts_at: datetime
    ends_at: datetime


class Ask(NamedTuple):
    """Whose app asked for a sign-up, under which number of its own, and by which message."""

    asker: str
    signup_ref: str
    origin: Origin

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from other asks."""
        return (self.asker, self.signup_ref)


@frozen
class Signup:
    """A person in a shift: she has or had a post, a place in line, or a window that her home reported.

    A report that clashes is kept with the window it wants: as ``clashed`` it occupies nothing, as ``reported`` it
    wants to move and occupies its earlier window.
    """

    signup_id: UUID
    person: UUID
    host: str
    project_ref: str
    shift_ref: str
    starts_at: datetime
    ends_at: datetime
    state: Literal["confirmed", "waitlisted", "reported", "clashed", "withdrawn"]
    position: int | None
    """Place in line while waitlisted; lower is earlier."""
    asker: str
    signup_ref: str
    origin: Origin
    clashed_at: datetime | None = None
    """CloudEvents time of the first report that lost and still wants its window."""
    wanted_from: datetime | None = None
    wanted_to: datetime | None = None
    also_asked: tuple[Ask, ...] = ()
    """Who else asked while it stood, in order: told how it stands, and whatever becomes of it."""

    @property
    def asks(self) -> tuple[Ask, ...]:
        """Everyone who asked for it, the first one first."""
        return (Ask(self.asker, self.signup_ref, self.origin), *self.also_asked)

    @property
    def shift(self) -> ShiftKey:
        """The shift it is for."""
        return (self.host, self.project_ref, self.shift_ref)

    @property
    def in_line(self) -> ShiftKey | None:
        """The shift in whose line she stands."""
        return self.shift if self.state == "waitlisted" else None

    @property
    def active(self) -> bool:
        """Whether it occupies its window."""
        return self.state in ACTIVE

    @property
    def given(self) -> bool:
        """Whether the linkage gave it; what home reported is not."""
        return self.state in ("confirmed", "waitlisted")

    @property
    def wish(self) -> Wish | None:
        """The window that home reported last, where it clashes."""
        if self.clashed_at is None or self.wanted_from is None or self.wanted_to is None:
            return None
        return Wish(self.clashed_at, self.signup_id, self.wanted_from, self.wanted_to)

    def ended(self) -> Signup:
        """It is withdrawn, with all that it wanted."""
        return replace(self, state="withdrawn", position=None, clashed_at=None, wanted_from=None, wanted_to=None)

    def noted(self, wish: Wish) -> Signup:
        """Its wish stands."""
        window: dict[str, Any] = {"starts_at": wish.starts_at, "ends_at": wish.ends_at}
        return replace(self, state="reported", clashed_at=None, wanted_from=None, wanted_to=None, **window)


@frozen
class Outcome:
    """One thing that a sign-up was told; never changed. The figures are counted from these.

    A request has exactly one of confirmed, waitlisted and refused; promoted and withdrawn come later.
    """

    decision: UUID
    """The decision it came from; one decision may tell several sign-ups."""
    signup_id: UUID
    outcome: Literal["confirmed", "waitlisted", "refused", "promoted", "withdrawn"]
    reason: SignupRefusal | EndReason | None
    decided_at: datetime
    posts: int | None = None
    """Where a post was given: the allotment at that moment."""
    confirmed: int | None = None
    """How many had a post right after it, this one included. More than ``posts`` is overbooking, healed or not."""

    @classmethod
    def post(
        cls, decision: UUID, signup_id: UUID, outcome: Literal["confirmed", "promoted"], shift: Shift, now: datetime
    ) -> Outcome:
        """A post of this shift was given; ``shift`` is as it stands after it."""
        return cls(decision, signup_id, outcome, None, now, posts=shift.posts, confirmed=shift.confirmed)
