"""The latency workload's people: volunteers of one city linked, signed up and checked in at another, then attested."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from contracts.envelope import Event
from contracts.messages import Message, shifts, signups, volunteers
from contracts.messages.base import AgeBand, Consent, EvidenceClass
from contracts.messages.service import SHANGHAI, CheckedIn, CheckedOut, ServiceAttested
from contracts.messages.shifts import Category, Place
from contracts.topics import registry_source, registry_topic_for
from deploy.operate.lines import Letter

__all__ = ["HOME", "HOST", "Season"]

HOME, HOST = "sz", "gz"
_PROJECT = "bench-p"
_MINUTES = 120


class Season:
    """So many persons, each serving once on each of so many days before ``today``."""

    def __init__(self, persons: int, days: int, today: datetime) -> None:
        self.persons, self.days = persons, days
        self._midnight = today.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)

    def links(self) -> Iterator[Letter]:
        """Everyone's offer at home and request at the host."""
        at = self._midnight - timedelta(days=40)
        for number in range(self.persons):
            code = f"code-of-volunteer-{number:08d}"
            offer = volunteers.LinkOffered(
                volunteer_ref=f"{HOME}-v{number:05d}",
                for_registry=HOST,
                code_hash=sha256(code.encode()).hexdigest(),
                age_band=AgeBand.ADULT,
                guardian_approved=False,
                consent=Consent(version=1, given_at=at),
                expires_at=at + timedelta(minutes=30),
            )
            yield _letter(HOME, f"offer-{number}", at, offer)
            request = volunteers.LinkRequested(
                volunteer_ref=f"{HOST}-v{number:05d}", home=HOME, home_ref=f"{HOME}-v{number:05d}", code=code
            )
            yield _letter(HOST, f"request-{number}", at + timedelta(minutes=1), request)

    def sign_ups(self) -> Iterator[Letter]:
        """A project, its shifts, and a request of everyone for each."""
        opened = self._midnight - timedelta(days=30)
        project = shifts.ProjectPublished(
            project_ref=_PROJECT, version=1, title="Benchmark", category=Category.COMMUNITY, organiser_ref="bench-o"
        )
        yield _letter(HOST, "project", opened, project)
        for day in range(self.days):
            yield _letter(HOST, f"shift-{day}", opened, self._shift(day, opened))
        for day in range(self.days):
            for number in range(self.persons):
                request = signups.SignupRequested(
                    signup_ref=f"bench-u-{day}-{number}",
                    volunteer_ref=f"{HOST}-v{number:05d}",
                    host=HOST,
                    project_ref=_PROJECT,
                    shift_ref=f"bench-s-{day}",
                )
                yield _letter(HOST, f"ask-{day}-{number}", opened + timedelta(hours=1), request)

    def stays(self) -> Iterator[Letter]:
        """Everyone comes to everything, and stays to the end."""
        for day in range(self.days):
            came, left = self._starts(day) - timedelta(minutes=5), self._starts(day) + timedelta(minutes=_MINUTES)
            for number in range(self.persons):
                where: dict[str, Any] = {
                    "volunteer_ref": f"{HOST}-v{number:05d}",
                    "project_ref": _PROJECT,
                    "shift_ref": f"bench-s-{day}",
                    "method": "scan",
                }
                yield _letter(HOST, f"came-{day}-{number}", came, CheckedIn(at=came, **where))
                yield _letter(HOST, f"left-{day}-{number}", left, CheckedOut(at=left, **where))

    def records(self) -> Iterator[tuple[str, Letter]]:
        """All service records with their refs, each person's spread over the whole load."""
        for day in range(self.days):
            for number in range(self.persons):
                ref = f"bench-r-{day}-{number}"
                record = ServiceAttested(
                    volunteer_ref=f"{HOST}-v{number:05d}",
                    record_ref=ref,
                    version=1,
                    project_ref=_PROJECT,
                    shift_ref=f"bench-s-{day}",
                    started_at=self._starts(day),
                    ended_at=self._starts(day) + timedelta(minutes=_MINUTES),
                    evidence_class=EvidenceClass.SCAN,
                )
                yield ref, _letter(HOST, f"attest-{day}-{number}", self._midnight, record)

    @property
    def minutes(self) -> int:
        """What the home must have booked in the end."""
        return self.persons * self.days * _MINUTES

    def _starts(self, day: int) -> datetime:
        return self._midnight - timedelta(days=day + 1) + timedelta(hours=9)

    def _shift(self, day: int, opened: datetime) -> shifts.ShiftPublished:
        starts_at = self._starts(day)
        return shifts.ShiftPublished(
            project_ref=_PROJECT,
            shift_ref=f"bench-s-{day}",
            version=1,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=_MINUTES),
            signup_opens_at=opened,
            signup_closes_at=starts_at,
            posts=self.persons,
            place=Place(division_code="440106", text="Benchmark"),
        )


def _letter(registry: str, tag: str, time: datetime, message: Message) -> Letter:
    source = registry_source(registry)
    topic = registry_topic_for(source, type(message))
    assert topic is not None
    return Letter(topic, Event(id=f"{registry}-bench-{tag}", source=source, time=time, data=message))
