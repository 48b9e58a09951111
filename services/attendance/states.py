"""What attendance keeps, a row type per table: a copy of sign-ups, presence, and the standing of each service
record."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from uuid import UUID

from contracts.frozen import frozen
from contracts.messages.service import Method, ServiceRecord, Tier, shanghai_day
from services.attendance.reasons import HoldReason

__all__ = [
    "ENTITLED",
    "LONGEST_STAY",
    "PersonDay",
    "Presence",
    "RecordKey",
    "Signup",
    "SignupState",
    "Standing",
    "days_of_a_stay",
    "person_name",
    "signup_name",
]

SignupState: TypeAlias = Literal["confirmed", "promoted", "noted", "waitlisted", "refused", "withdrawn"]
RecordKey: TypeAlias = tuple[str, str]
"""host, record_ref"""

ENTITLED: Final = ("confirmed", "promoted", "noted")
"""States of a sign-up that give the right to serve."""
LONGEST_STAY: Final = timedelta(hours=48)
"""The longest time between check-in and check-out of a stay. The longest service that we know lasts 45 hours."""
_DAYS_OF_A_STAY: Final = 3
"""The most Shanghai days that a stay can touch."""


def days_of_a_stay(day: date) -> tuple[date, ...]:
    """This day, and the earlier days on which a stay that reaches into this day may have begun."""
    return tuple(day - timedelta(days=back) for back in range(_DAYS_OF_A_STAY))


@lru_cache(maxsize=4096)  # held records are looked at again and again
def _read(body: str) -> ServiceRecord:
    return ServiceRecord.model_validate_json(body)


def person_name(person: UUID) -> str:
    """Lock name of a person. Records that compete are of one person, so this lock guards them all."""
    return f"person:{person}"


def signup_name(signup_id: UUID) -> str:
    """Lock name of a sign-up, and name of the fact that an event named it, or that it entitles its person to serve."""
    return f"signup:{signup_id}"


@frozen
class Signup:
    """The state of a sign-up. Its id follows from person and shift."""

    id: UUID
    state: SignupState
    served_until: datetime | None = None
    """When it ended, if it gave the right to serve and its shift had begun by then. It keeps this moment, whatever
    state follows."""
    starts_at: datetime | None = None
    """The shift's window, which never moves. None where no event told it."""
    ends_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether it gives the right to serve: a place in the waitlist does not."""
        return self.state in ENTITLED

    def was_active(self, moment: datetime) -> bool:
        """Whether it has ended, and gave the right to serve at this moment."""
        return self.served_until is not None and moment < self.served_until


@frozen
class Presence:
    """One check-in and, once she left, its check-out. ``day`` is the Shanghai day of the check-in."""

    signup_id: UUID
    day: date
    pair: int
    came_at: datetime
    left_at: datetime | None = None
    came_by: Method | None = None
    """How her coming was found. None where it was kept before methods were."""
    left_by: Method | None = None

    @property
    def signup_day(self) -> tuple[UUID, date]:
        """Sign-up and day, by which decisions ask for stays."""
        return (self.signup_id, self.day)

    def covers(self, day: date) -> bool:
        """Whether she was there on this Shanghai day. A stay over midnight is evidence for both days; a stay that ends
        at midnight is evidence for the day before only."""
        last = self.day if self.left_at is None else shanghai_day(self.left_at - timedelta.resolution)
        return self.day <= day <= max(self.day, last)


@frozen
class Standing:
    """How the linkage stands to a service record: its latest version, and the version that counts.

    ``held_for`` and ``body`` (JSON) are of the latest version. The last confirmed version counts, and the fields
    ``counted_…`` are of it. While a later version is held, its span and minutes stay reserved. A revocation empties
    these fields but ``counted_signup``: a record that was confirmed under a sign-up once needs none to be restored.
    """

    host: str
    record_ref: str
    person: UUID
    signup_id: UUID
    version: int
    held_for: HoldReason | None
    body: str
    attested_at: datetime
    """CloudEvents time of the version that was seen first. Held records are decided again in this order."""
    day: date
    """The Shanghai day of the latest version."""
    home: str | None = None
    """The home of its person. None for versions from before the border told it."""
    reviewed_version: int | None = None
    """The version that a person decided about."""
    reviewed_by: Tier | None = None
    """Who decided about it."""
    approved: bool | None = None
    """Whether this person approved it."""
    said_at: datetime | None = None
    """CloudEvents time of the latest version, or the log's append time if that is earlier. None as for ``home``."""
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
        """The Shanghai day on which the record counts."""
        return None if self.counted_from is None else shanghai_day(self.counted_from)

    @property
    def place(self) -> tuple[str, UUID, date]:
        """Host, person and day, by which a host's records of a day are counted."""
        return (self.host, self.person, self.day)

    @property
    def counts_on(self) -> tuple[UUID, date] | None:
        """Person and day on which the record counts."""
        day = self.counted_day
        return None if day is None else (self.person, day)

    @property
    def waits_on(self) -> tuple[UUID, date] | None:
        """Person and day on which the record is held. None for a duplicate: it stays held whatever else leaves the day,
        as long as the other record counts."""
        return (self.person, self.day) if self._waits else None

    @property
    def waits_under(self) -> UUID | None:
        """The sign-up under which the record is held; None for a duplicate."""
        return self.signup_id if self._waits else None

    @property
    def doubles(self) -> tuple[UUID, date] | None:
        """Sign-up and day, where the record is held because another record of the same counts."""
        return (self.signup_id, self.day) if self.held_for == "duplicate" else None

    @property
    def _waits(self) -> bool:
        return self.held_for is not None and self.held_for != "duplicate"

    @property
    def approved_by(self) -> Tier | None:
        """Who approved the latest version; None where nobody did."""
        return self.reviewed_by if self.approved and self.reviewed_version == self.version else None

    @property
    def rejected_by(self) -> Tier | None:
        """Who decided that the latest version does not count; None where nobody did."""
        return self.reviewed_by if self.approved is False and self.reviewed_version == self.version else None

    def lowered_by(self, record: ServiceRecord) -> bool:
        """Whether this version takes minutes or time away from what counts of the record, and adds nothing."""
        if self.counted_from is None or self.counted_to is None or self.counted_minutes is None:
            return False
        inside = self.counted_from <= record.started_at and record.ended_at <= self.counted_to
        return inside and record.minutes <= self.counted_minutes

    def record(self) -> ServiceRecord:
        """The content of the latest version."""
        return _read(self.body)

    def counts_as(self, other: Standing) -> bool:
        """Whether sign-up, span and minutes that count are the same in both."""
        return (self.counted_signup, self.counted_from, self.counted_to, self.counted_minutes) == (
            other.counted_signup,
            other.counted_from,
            other.counted_to,
            other.counted_minutes,
        )

    def confirmed(self, record: ServiceRecord) -> Standing:
        """The standing when the latest version is confirmed. ``record``: its content."""
        # Not by replace(), which takes three times as long: most decisions confirm.
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
            self.home,
            self.reviewed_version,
            self.reviewed_by,
            self.approved,
            self.said_at,
            counted_version=self.version,
            counted_signup=self.signup_id,
            counted_from=record.started_at,
            counted_to=record.ended_at,
            counted_minutes=record.minutes,
        )

    def revoked(self) -> Standing:
        """The standing when the record is revoked: nothing of it counts."""
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
    """The minutes that one batch adds to a person's Shanghai day; negative where it takes minutes away.

    Rows are never loaded. Rules sum the records themselves; the database adds up by itself and compares with ``cap``.
    """

    person: UUID
    day: date
    added: int
    cap: int
