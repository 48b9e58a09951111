"""What attendance keeps: a copy of sign-ups, presence, and how the linkage stands to every service record."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from uuid import UUID

from contracts.frozen import frozen
from contracts.messages.service import ServiceRecord, shanghai_day

__all__ = [
    "DAYS_OF_A_STAY",
    "ENTITLED",
    "LONGEST_STAY",
    "CommandRefusal",
    "HoldReason",
    "PersonDay",
    "Presence",
    "RecordKey",
    "Signup",
    "SignupState",
    "Standing",
    "person_name",
    "signup_name",
]

SignupState: TypeAlias = Literal["confirmed", "promoted", "noted", "waitlisted", "refused", "withdrawn"]
HoldReason: TypeAlias = Literal["no_check_in", "no_signup", "overlap", "duplicate", "over_cap"]
"""Why a version does not count yet."""
CommandRefusal: TypeAlias = Literal[
    "no_signup", "no_check_in", "too_many_check_ins", "other_person", "version_conflict", "too_many_records"
]
"""Why a command is not followed."""
RecordKey: TypeAlias = tuple[str, str]
"""host, record_ref"""

ENTITLED: Final = ("confirmed", "promoted", "noted")
"""States of a sign-up that give the right to serve."""
LONGEST_STAY: Final = timedelta(hours=48)
"""A check-out ends a stay begun at most so long before; the longest service known lasts 45 hours."""
DAYS_OF_A_STAY: Final = 3
"""So many Shanghai days a stay can touch."""


@lru_cache(maxsize=4096)  # what is held is looked at again and again
def _read(body: str) -> ServiceRecord:
    return ServiceRecord.model_validate_json(body)


def person_name(person: UUID) -> str:
    """Lock name of a person, under which all that competes stands."""
    return f"person:{person}"


def signup_name(signup_id: UUID) -> str:
    """Lock name of a sign-up, and the fact that it has come or gives a right to serve."""
    return f"signup:{signup_id}"


@frozen
class Signup:
    """How a sign-up stands. Its id is derived from person and shift."""

    id: UUID
    state: SignupState

    @property
    def active(self) -> bool:
        """Whether it gives the right to serve: a place in the waitlist does not."""
        return self.state in ENTITLED


@frozen
class Presence:
    """One check-in and, once she left, its check-out. ``day`` is the Shanghai day of the check-in."""

    signup_id: UUID
    day: date
    pair: int
    came_at: datetime
    left_at: datetime | None = None

    @property
    def signup_day(self) -> tuple[UUID, date]:
        """What decisions ask for stays by."""
        return (self.signup_id, self.day)

    def covers(self, day: date) -> bool:
        """Whether she was there on this Shanghai day: a stay over midnight evidences both days, one that ends at
        midnight only the day that it ends."""
        last = self.day if self.left_at is None else shanghai_day(self.left_at - timedelta.resolution)
        return self.day <= day <= max(self.day, last)


@frozen
class Standing:
    """How the linkage stands to a service record: its latest version, and the version that counts.

    ``held_for`` and ``body`` (JSON) are of the latest version. What counts is the last confirmed version: while a
    later one is held, its span and minutes stay reserved; a revocation empties it, but for ``counted_signup``: what
    was confirmed under a sign-up once needs none to be restored.
    """

    host: str
    record_ref: str
    person: UUID
    signup_id: UUID
    version: int
    held_for: HoldReason | None
    body: str
    attested_at: datetime
    """CloudEvents time of the version seen first: who attested first is decided again first."""
    day: date
    """The Shanghai day of the latest version."""
    counted_version: int | None = None
    counted_signup: UUID | None = None
    counted_from: datetime | None = None
    counted_to: datetime | None = None
    counted_minutes: int | None = None

    @property
    def key(self) -> RecordKey:
        """Host and record_ref."""
        return (self.host, self.record_ref)

    @property
    def counted_day(self) -> date | None:
        """The Shanghai day on which it counts."""
        return None if self.counted_from is None else shanghai_day(self.counted_from)

    @property
    def place(self) -> tuple[str, UUID, date]:
        """One host's records of a person's day are counted by this."""
        return (self.host, self.person, self.day)

    @property
    def counts_on(self) -> tuple[UUID, date] | None:
        """Person and day on which it counts."""
        day = self.counted_day
        return None if day is None else (self.person, day)

    @property
    def waits_on(self) -> tuple[UUID, date] | None:
        """Person and day that it is held back on. What duplicates another record is not: whatever else leaves the day,
        that one is in its way."""
        return (self.person, self.day) if self._waits else None

    @property
    def waits_under(self) -> UUID | None:
        """The sign-up that it is held back under, but for duplicates."""
        return self.signup_id if self._waits else None

    @property
    def doubles(self) -> tuple[UUID, date] | None:
        """Sign-up and day of which another record counts."""
        return (self.signup_id, self.day) if self.held_for == "duplicate" else None

    @property
    def _waits(self) -> bool:
        return self.held_for is not None and self.held_for != "duplicate"

    def record(self) -> ServiceRecord:
        """The latest version, whole."""
        return _read(self.body)

    def counts_as(self, other: Standing) -> bool:
        """Whether the same counts of both."""
        return (self.counted_signup, self.counted_from, self.counted_to, self.counted_minutes) == (
            other.counted_signup,
            other.counted_from,
            other.counted_to,
            other.counted_minutes,
        )

    def confirmed(self, record: ServiceRecord) -> Standing:
        """The latest version, which is ``record``, counts from now on."""
        # Written out: replace() takes three times as long, and most decisions confirm.
        return Standing(
            self.host,
            self.record_ref,
            self.person,
            self.signup_id,
            self.version,
            None,
            self.body,
            self.attested_at,
            self.day,
            counted_version=self.version,
            counted_signup=self.signup_id,
            counted_from=record.started_at,
            counted_to=record.ended_at,
            counted_minutes=record.minutes,
        )

    def revoked(self) -> Standing:
        """Nothing of it counts any more."""
        return replace(
            self,
            held_for=None,
            counted_version=None,
            counted_from=None,
            counted_to=None,
            counted_minutes=None,
        )


@frozen
class PersonDay:
    """What one batch adds to (or takes from) a person's minutes of a Shanghai day.

    Never loaded: rules sum the records themselves, the database adds up on its own and compares with ``cap``.
    """

    person: UUID
    day: date
    added: int
    cap: int
