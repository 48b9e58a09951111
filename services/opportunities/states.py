"""What opportunities keeps, a row type per table: projects, shifts with their allotment, sign-ups, and their
outcomes."""

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
    "needs_age",
    "guardian_missing",
    "not_open",
    "already_signed_up",
    "shift_unknown",
    "shift_cancelled",
]
"""Why a request or a reported window is refused."""
EndReason: TypeAlias = Literal["shift_cancelled", "waitlist_closed"]
"""Why a sign-up ended, where nobody gave it back."""
CommandRefusal: TypeAlias = Literal[
    "no_signup", "shift_started", "already_signed_up", "too_many_reports", "window_fixed", "version_conflict"
]
"""Why a command is not followed."""

ACTIVE: Final = ("confirmed", "waitlisted", "reported")
"""States in which a sign-up occupies its window."""


def project_name(host: str, project_ref: str) -> str:
    """Lock name of a project."""
    return f"project:{host}:{project_ref}"


def shift_name(host: str, project_ref: str, shift_ref: str) -> str:
    """Lock name of a shift, and name of the fact for which a request waits while the shift is unknown."""
    return f"shift:{host}:{project_ref}:{shift_ref}"


def signup_name(signup_id: UUID) -> str:
    """Lock name of a sign-up."""
    return f"signup:{signup_id}"


def windows_name(person: UUID) -> str:
    """Lock name of a person's time. It sorts after all others: the persons whose time a cancelled shift frees are known
    only once the shift is locked."""
    return f"windows:{person}"


@frozen
class Project:
    """The last version of a host's project."""

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
        published = command.project
        return cls(
            host=command.host,
            project_ref=command.project_ref,
            version=published.version,
            title=published.title,
            category=published.category,
            campaign_ref=published.campaign.ref if published.campaign else None,
            campaign_title=published.campaign.title if published.campaign else None,
            organiser_ref=published.organiser_ref,
            state=published.state,
        )


@frozen
class Shift:
    """The last version of a host's shift, and how much of its allotment is given."""

    host: str
    project_ref: str
    shift_ref: str
    version: int
    starts_at: datetime
    ends_at: datetime
    signup_opens_at: datetime
    signup_closes_at: datetime
    posts: int
    """The allotment. It is below ``confirmed`` after the host lowered it: then no post is given, and none taken
    away."""
    waitlist_posts: int
    minimum_age: int
    division_code: str
    place_text: str
    state: Literal["open", "cancelled"]
    confirmed: int
    waitlisted: int
    capacity: int
    """Set to max(posts, confirmed) whenever posts change or a post comes back. Giving a post never raises it."""
    last_position: int
    """The last place in line that was given out. Places are never given twice."""

    @classmethod
    def of(cls, command: PublishShift, before: Shift | None) -> Shift:
        """The shift that a command publishes, with the counts of its earlier version."""
        published = command.shift
        confirmed = before.confirmed if before else 0
        return cls(
            host=command.host,
            project_ref=command.project_ref,
            shift_ref=published.shift_ref,
            version=published.version,
            starts_at=published.starts_at,
            ends_at=published.ends_at,
            signup_opens_at=published.signup_opens_at,
            signup_closes_at=published.signup_closes_at,
            posts=published.posts,
            waitlist_posts=published.waitlist_posts,
            minimum_age=published.minimum_age,
            division_code=published.place.division_code,
            place_text=published.place.text,
            state=published.state,
            confirmed=confirmed,
            waitlisted=before.waitlisted if before else 0,
            capacity=max(published.posts, confirmed),
            last_position=before.last_position if before else 0,
        )

    @property
    def key(self) -> ShiftKey:
        """Host, project_ref and shift_ref, by which sign-ups are grouped."""
        return (self.host, self.project_ref, self.shift_ref)

    @property
    def free(self) -> int:
        """Posts of the allotment that nobody has."""
        return max(0, self.posts - self.confirmed)


class Wish(NamedTuple):
    """A window that home reported and that clashes. Wishes sort by the time at which they lost."""

    clashed_at: datetime
    signup_id: UUID
    starts_at: datetime
    ends_at: datetime


class Ask(NamedTuple):
    """One ask for a sign-up: the registry whose app asked, its own number for it, and its message."""

    asker: str
    signup_ref: str
    origin: Origin

    @property
    def name(self) -> tuple[str, str]:
        """Asker and signup_ref, by which asks of a sign-up differ."""
        return (self.asker, self.signup_ref)


@frozen
class Signup:
    """A person's claim to a shift: she has or had a post, a place in line, or a window that her home reported.

    A report that clashes is kept with the window that it wants. As ``clashed`` it occupies no window; as ``reported``
    it wants to move, and occupies its earlier window.
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
    """CloudEvents time of the first report that lost a clash and still wants its window."""
    wanted_from: datetime | None = None
    wanted_to: datetime | None = None
    also_asked: tuple[Ask, ...] = ()
    """Further asks while it was active, in order. Their askers are told every state of it."""

    @property
    def asks(self) -> tuple[Ask, ...]:
        """All asks, in order."""
        return (Ask(self.asker, self.signup_ref, self.origin), *self.also_asked)

    @property
    def shift(self) -> ShiftKey:
        """The shift it is for."""
        return (self.host, self.project_ref, self.shift_ref)

    @property
    def in_line(self) -> ShiftKey | None:
        """The shift, while the sign-up is in its line."""
        return self.shift if self.state == "waitlisted" else None

    @property
    def active(self) -> bool:
        """Whether it occupies its window."""
        return self.state in ACTIVE

    @property
    def given(self) -> bool:
        """Whether the linkage gave it. A report of the home is not given."""
        return self.state in ("confirmed", "waitlisted")

    @property
    def wish(self) -> Wish | None:
        """The window that home reported last, where it clashes."""
        if self.clashed_at is None or self.wanted_from is None or self.wanted_to is None:
            return None
        return Wish(self.clashed_at, self.signup_id, self.wanted_from, self.wanted_to)

    def ended(self) -> Signup:
        """The sign-up when it is withdrawn. It wants no window any more."""
        return replace(self, state="withdrawn", position=None, clashed_at=None, wanted_from=None, wanted_to=None)

    def noted(self, wish: Wish) -> Signup:
        """The sign-up when its wish is noted: it occupies the window that it wanted."""
        window: dict[str, Any] = {"starts_at": wish.starts_at, "ends_at": wish.ends_at}
        return replace(self, state="reported", clashed_at=None, wanted_from=None, wanted_to=None, **window)


@frozen
class Outcome:
    """One outcome of a sign-up; never changed. The figures are counted from these rows.

    A request has exactly one outcome of confirmed, waitlisted and refused; promoted and withdrawn come later.
    """

    decision: UUID
    """The decision that gave it. One decision may give outcomes to several sign-ups."""
    signup_id: UUID
    outcome: Literal["confirmed", "waitlisted", "refused", "promoted", "withdrawn"]
    reason: SignupRefusal | EndReason | None
    decided_at: datetime
    posts: int | None = None
    """Where a post was given: the allotment at that moment."""
    confirmed: int | None = None
    """How many sign-ups had a post right after it, this one included. More than ``posts`` is overbooking, even where it
    was corrected later."""

    @classmethod
    def post(
        cls, decision: UUID, signup_id: UUID, outcome: Literal["confirmed", "promoted"], shift: Shift, now: datetime
    ) -> Outcome:
        """The outcome where a post is given. ``shift``: the shift after that."""
        return cls(decision, signup_id, outcome, None, now, posts=shift.posts, confirmed=shift.confirmed)
