"""The events of the decider's workload: seeded, the same for every form, with what must come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID, uuid5

from contracts.envelope import Event
from contracts.ids import signup_id
from contracts.messages.attendance import AttestService
from contracts.messages.base import EvidenceClass, Origin
from contracts.messages.service import SHANGHAI, ServiceRecord
from contracts.topics import service_source

__all__ = ["Load", "Outcome", "Visit", "make_load"]

_FIRST_DAY = date(2026, 7, 6)
_SENT_AT = datetime(2026, 7, 12, 12, 0, tzinfo=UTC)
_BRIDGE = service_source("bridge")
_MONTH = 28


@dataclass(frozen=True, slots=True)
class Visit:
    """A sign-up that stands before the run; where ``came_at`` is given, its check-in stands as well."""

    signup_id: UUID
    came_at: datetime | None
    day: date


@dataclass(slots=True)
class Outcome:
    """What must be there after a run: the last word on every record, and every message sent."""

    counted_minutes: int = 0
    counted: int = 0
    held: Counter[str] = field(default_factory=Counter)
    revoked: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    sent_minutes: int = 0
    """Minutes in all that was sent, held and earlier versions included."""


@dataclass(slots=True)
class Load:
    """Events in order, what stands before them and what must come of them."""

    persons: list[UUID] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)


def make_load(persons: int, seed: int) -> Load:
    """Events of so many persons, four to five each, of all persons mixed and in order within each person.

    Of twenty persons one has an overlap across registries, one a day over the cap, one a record without a check-in
    (all three are held), two a correction; of fifty one has a revocation. The first persons are the same in every
    load of a seed.
    """
    load = Load()
    streams: list[list[AttestService]] = []
    for number in range(persons):
        rng = Random(f"{seed}/{number}")  # per person, so that a smaller load is the beginning of a larger one
        person = UUID(int=rng.getrandbits(128), version=4)
        load.persons.append(person)
        streams.append(list(_Person(number, person, rng, load).commands()))
    order = [number for number, stream in enumerate(streams) for _ in stream]
    Random(seed).shuffle(order)
    following = [iter(stream) for stream in streams]
    for place, number in enumerate(order):
        load.events.append(_event(next(following[number]), place, seed))
    return load


def _event(command: AttestService, place: int, seed: int) -> Event:
    # Time-ordered like the bridge's own (UUIDv7), and the same in every run.
    moment = _SENT_AT + timedelta(milliseconds=place)
    random = Random(f"{seed}/event/{place}").getrandbits(74)
    stamp = int(moment.timestamp() * 1000)
    number = (stamp << 80) | (7 << 76) | ((random >> 62) << 64) | (2 << 62) | (random & ((1 << 62) - 1))
    return Event(
        str(UUID(int=number)), _BRIDGE, moment, command, correlation=str(command.origin.message), causation=f"c-{place}"
    )


class _Person:
    """One person's records, and what each must lead to."""

    def __init__(self, number: int, person: UUID, rng: Random, load: Load) -> None:
        self._number, self._person, self._rng = number, person, rng
        self._visits, self._outcome = load.visits, load.outcome
        self._day = _FIRST_DAY + timedelta(days=rng.randrange(_MONTH))

    def commands(self) -> Iterator[AttestService]:
        """What the border hands on, in order."""
        number = self._number
        first = self._served("a", "gz", 0, "09:00", 150)
        yield self._confirm(first)
        second = self._served("b", "gz", 0, "13:00", 180)
        yield self._confirm(second)
        third = self._served("c", "gz", 1, "09:00", 120)
        yield self._confirm(third)
        yield self._last_record()
        if number % 10 == 5:
            later = first.record.ended_at - timedelta(minutes=10)
            corrected = first.record.model_copy(update={"version": 2, "ended_at": later, "reason_code": "correction"})
            yield self._confirm(first.model_copy(update={"record": corrected}), before=first.record.minutes)
        if number % 50 == 7:
            taken_back = second.record.model_copy(update={"version": 2, "revoked": True, "reason_code": "retract"})
            yield self._revoke(second.model_copy(update={"record": taken_back}), second.record.minutes)

    def _last_record(self) -> AttestService:
        match self._number % 20:
            case 0:
                return self._hold(self._served("d", "sz", 1, "10:00", 120), "overlap")
            case 1:
                return self._hold(self._served("d", "gz", 0, "17:00", 210), "over_cap")
            case 2:
                return self._hold(self._served("d", "gz", 2, "09:00", 120, came=False), "no_check_in")
            case _:
                return self._confirm(self._served("d", "gz", 2, "09:00", 90 + self._rng.randrange(120)))

    def _served(
        self, name: str, host: str, after_days: int, clock: str, minutes: int, *, came: bool = True
    ) -> AttestService:
        day = self._day + timedelta(days=after_days)
        start = datetime.combine(day, datetime.strptime(clock, "%H:%M").time(), SHANGHAI).astimezone(UTC)
        shift = f"{host}-s-{day:%m%d}-{name}-{self._number % 97}"
        project = f"{host}-p-{self._number % 13}"
        signup = signup_id(self._person, host, project, shift)
        self._visits.append(Visit(signup, start - timedelta(minutes=5) if came else None, day))
        return AttestService(
            person=self._person,
            host=host,
            signup_id=signup,
            record=ServiceRecord(
                record_ref=f"{host}-r-{self._number:07d}-{name}",
                version=1,
                project_ref=project,
                shift_ref=shift,
                started_at=start,
                ended_at=start + timedelta(minutes=minutes),
                evidence_class=EvidenceClass.SCAN,
                attested_by=f"{host}-o-{self._number % 31}",
            ),
            origin=Origin(registry=host, message=uuid5(self._person, name)),
        )

    def _confirm(self, command: AttestService, before: int | None = None) -> AttestService:
        minutes = command.record.minutes
        self._outcome.counted_minutes += minutes - (before or 0)
        self._outcome.counted += before is None
        return self._sent("confirmed", command, minutes)

    def _hold(self, command: AttestService, reason: str) -> AttestService:
        self._outcome.held[reason] += 1
        return self._sent("held", command, command.record.minutes)

    def _revoke(self, command: AttestService, before: int) -> AttestService:
        self._outcome.counted_minutes -= before
        self._outcome.counted -= 1
        self._outcome.revoked += 1
        return self._sent("revoked", command, 0)

    def _sent(self, kind: str, command: AttestService, minutes: int) -> AttestService:
        self._outcome.sent[kind] += 1
        self._outcome.sent_minutes += minutes
        return command
