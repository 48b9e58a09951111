"""Attendance in memory: messages made from a few words, and a world that waits, parks and guards as the real one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from contracts.envelope import Event
from contracts.ids import signup_id
from contracts.messages import Message, attendance, opportunities
from contracts.messages.base import EvidenceClass, Origin
from contracts.messages.service import SHANGHAI, ServiceRecord
from contracts.topics import service_source
from services.attendance.service import build
from services.attendance.settings import AttendanceSettings
from services.attendance.states import PersonDay, Standing
from services.chassis.decisions import Decision, Inbound, States

MONDAY = date(2026, 7, 6)
XIA = uuid.UUID("11111111-1111-4111-8111-111111111111")
LIN = uuid.UUID("22222222-2222-4222-8222-222222222222")
PROJECT = "P1"
SignupFact: TypeAlias = (
    opportunities.SignupConfirmed
    | opportunities.SignupPromoted
    | opportunities.SignupNoted
    | opportunities.SignupWaitlisted
    | opportunities.SignupRefused
    | opportunities.SignupWithdrawn
)
NOW = datetime(2026, 7, 20, tzinfo=UTC)


def at(clock: str, day: int = 0) -> datetime:
    """``at("09:00", 1)`` is nine o'clock in Shanghai on Tuesday; ``24:00`` is the midnight that ends the day."""
    hours, minutes = map(int, clock.split(":"))
    start = datetime.combine(MONDAY + timedelta(days=day), datetime.min.time(), SHANGHAI)
    return start + timedelta(hours=hours, minutes=minutes)


def _origin(host: str) -> Origin:
    return Origin(registry=host, message_id=str(uuid.uuid4()), message_type="t", key="v1")


def signup(
    shift: str,
    kind: Callable[..., SignupFact] = opportunities.SignupConfirmed,
    *,
    person: uuid.UUID = XIA,
    host: str = "aa",
    **more: Any,
) -> Message:
    """What opportunities says of a sign-up."""
    return kind(
        host=host,
        project_ref=PROJECT,
        signup_id=signup_id(person, host, PROJECT, shift),
        person=person,
        shift_ref=shift,
        asker=host,
        signup_ref="s",
        origin=_origin(host),
        **more,
    )


def _presence(kind: Callable[..., Message], shift: str, moment: datetime, person: uuid.UUID, host: str) -> Message:
    return kind(
        person=person,
        host=host,
        signup_id=signup_id(person, host, PROJECT, shift),
        project_ref=PROJECT,
        shift_ref=shift,
        at=moment,
        method="scan",
        origin=_origin(host),
    )


def check_in(shift: str, moment: datetime, *, person: uuid.UUID = XIA, host: str = "aa") -> Message:
    """She came."""
    return _presence(attendance.RecordCheckIn, shift, moment, person, host)


def check_out(shift: str, moment: datetime, *, person: uuid.UUID = XIA, host: str = "aa") -> Message:
    """She left."""
    return _presence(attendance.RecordCheckOut, shift, moment, person, host)


def attest(
    ref: str,
    shift: str,
    start: datetime,
    end: datetime,
    *,
    version: int = 1,
    person: uuid.UUID = XIA,
    host: str = "aa",
    revoked: bool = False,
    break_minutes: int = 0,
    evidence: EvidenceClass = EvidenceClass.SCAN,
) -> Message:
    """A version of a service record."""
    record = ServiceRecord(
        record_ref=ref,
        version=version,
        project_ref=PROJECT,
        shift_ref=shift,
        started_at=start,
        ended_at=end,
        break_minutes=break_minutes,
        evidence_class=evidence,
        revoked=revoked,
    )
    return attendance.AttestService(
        person=person,
        host=host,
        signup_id=signup_id(person, host, PROJECT, shift),
        record=record,
        origin=_origin(host),
    )


def event_of(message: Message, time: datetime = NOW) -> Event:
    """The message under a fresh id, from who may send it."""
    name = "bridge" if message.TYPE.startswith("shuangcheng.attendance") else "opportunities"
    return Event(str(uuid.uuid4()), service_source(name), time, message)


@dataclass
class World:
    """Decides messages as the chassis would, one after another, with all rows loaded.

    ``patient``: what needs a fact waits for it; otherwise its time is up at once.
    """

    cap: int = 480
    patient: bool = True
    rows: dict[type, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))
    sent: list[Message] = field(default_factory=list)
    parked: dict[str, list[Inbound]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    days: dict[tuple[uuid.UUID, date], int] = field(default_factory=lambda: defaultdict(int))
    clock: datetime = NOW

    def __post_init__(self) -> None:
        self.service = build(AttendanceSettings(day_cap_minutes=self.cap))

    def deliver(self, *messages: Message) -> list[Message]:
        """Decide these; gives what was sent because of them."""
        already = len(self.sent)
        for message in messages:
            self.clock += timedelta(seconds=1)
            event = event_of(message, self.clock)
            self._take(Inbound(event, "t", uuid.uuid4(), self.clock))
        return self.sent[already:]

    def time_is_up(self) -> list[Message]:
        """Decide what waits, for the last time."""
        already = len(self.sent)
        for subject in list(self.parked):
            for inbound in self.parked.pop(subject):
                assert self._decide(replace(inbound, waited_out=True)).wait is None
        return self.sent[already:]

    def standing(self, ref: str, host: str = "aa") -> Standing:
        """How the linkage stands to a record."""
        found: Standing = self.rows[Standing][host, ref]
        return found

    def standings(self) -> list[Standing]:
        """All of them."""
        return list(self.rows[Standing].values())

    def _take(self, inbound: Inbound) -> None:
        subject = self.service.subject(inbound)
        if subject in self.parked:
            self.parked[subject].append(inbound)
            return
        decision = self._decide(inbound)
        if decision.wait is not None and not self.patient:
            decision = self._decide(replace(inbound, waited_out=True))
        if decision.wait is not None:
            assert decision.wait.fact in {subject, *self.service.reaction(inbound).locks(inbound)}
            self.parked[subject], self.facts[subject] = [inbound], decision.wait.fact
        for fact in decision.facts:
            assert fact not in self.parked, "what brings the fact would stand behind what waits for it"
            for waiting in [name for name in self.parked if self.facts[name] == fact]:
                for released in self.parked.pop(waiting):
                    self._take(released)

    def _decide(self, inbound: Inbound) -> Decision:
        decision = self.service.decide(self.states(), inbound, NOW)
        if decision.wait is None:
            for row in decision.changes:
                self._keep(row)
            self.sent += [send.message for send in decision.sends]
        return decision

    def _keep(self, row: Any) -> None:
        if isinstance(row, PersonDay):
            self.days[row.person, row.day] += row.added
            assert self.days[row.person, row.day] >= 0
            assert row.added < 0 or self.days[row.person, row.day] <= row.cap
            return
        table = next(table for table in self.service.store.tables if table.row is type(row))
        names = [getattr(row, name) for name in table.key]
        self.rows[type(row)][names[0] if len(names) == 1 else tuple(names)] = row

    def states(self) -> States:
        """Everything kept, as a batch would see it."""
        states = States()
        for table in self.service.store.tables:
            table.declare(states)
            states.load(list(self.rows[table.row].values()))
        return states


def told(messages: list[Message]) -> Iterator[str]:
    """What was sent, in short: ``confirmed r1v1``, ``held r2v1 overlap``, ``refused no_signup``."""
    for message in messages:
        match message:
            case attendance.ServiceHeld():
                yield f"held {message.record.record_ref}v{message.record.version} {message.reason}"
            case attendance.ServiceConfirmed():
                yield f"confirmed {message.record.record_ref}v{message.record.version}"
            case attendance.ServiceRevoked():
                yield f"revoked {message.record.record_ref}v{message.record.version}"
            case attendance.CommandRefused():
                yield f"refused {message.reason}"
            case _:
                raise AssertionError(message)
