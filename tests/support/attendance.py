"""Attendance in memory: messages made from a few words, and a world that waits, parks and guards as the real one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from contracts.envelope import Event
from contracts.ids import signup_id
from contracts.messages import Message, attendance, opportunities
from contracts.messages.base import EvidenceClass, Origin
from contracts.messages.service import SHANGHAI, Outcome, ServiceRecord, Tier
from contracts.registry import Registry
from contracts.topics import ATTENDANCE_COMMANDS, ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS, service_source
from services.attendance.policy import Policy
from services.attendance.states import PersonDay, Standing
from tests.support.linkage import at_once
from tests.support.one_service import OneService

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
R = TypeVar("R")
NOW = datetime(2026, 7, 20, tzinfo=UTC)


def at(clock: str, day: int = 0) -> datetime:
    """``at("09:00", 1)`` is nine o'clock in Shanghai on Tuesday; ``24:00`` is the midnight that ends the day."""
    hours, minutes = map(int, clock.split(":"))
    start = datetime.combine(MONDAY + timedelta(days=day), datetime.min.time(), SHANGHAI)
    return start + timedelta(hours=hours, minutes=minutes)


def origin_of(host: str) -> Origin:
    """A message of this registry."""
    return Origin(registry=host, message=uuid.uuid4())


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
        origin=origin_of(host),
        **more,
    )


def _presence(
    kind: Callable[..., Message], shift: str, moment: datetime, person: uuid.UUID, host: str, method: str
) -> Message:
    return kind(
        person=person,
        host=host,
        signup_id=signup_id(person, host, PROJECT, shift),
        project_ref=PROJECT,
        shift_ref=shift,
        at=moment,
        method=method,
        origin=origin_of(host),
    )


def check_in(
    shift: str, moment: datetime, *, person: uuid.UUID = XIA, host: str = "aa", method: str = "scan"
) -> Message:
    """She came."""
    return _presence(attendance.RecordCheckIn, shift, moment, person, host, method)


def check_out(
    shift: str, moment: datetime, *, person: uuid.UUID = XIA, host: str = "aa", method: str = "scan"
) -> Message:
    """She left."""
    return _presence(attendance.RecordCheckOut, shift, moment, person, host, method)


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
    home: str | None = None,
    **more: Any,
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
        **more,
    )
    return attendance.AttestService(
        person=person,
        host=host,
        signup_id=signup_id(person, host, PROJECT, shift),
        record=record,
        home=home,
        origin=origin_of(host),
    )


def review(
    ref: str,
    shift: str,
    version: int = 1,
    *,
    person: uuid.UUID = XIA,
    host: str = "aa",
    reviewer: str = "chief",
    tier: Tier = "host",
    outcome: Outcome = "approved",
) -> Message:
    """A person's decision about a version of a service record."""
    return attendance.ReviewService(
        person=person,
        host=host,
        signup_id=signup_id(person, host, PROJECT, shift),
        record_ref=ref,
        version=version,
        reviewer=reviewer,
        tier=tier,
        outcome=outcome,
        reason="list_seen",
        origin=origin_of(host),
    )


def event_of(message: Message, time: datetime = NOW) -> Event:
    """The message under a fresh id, from who may send it."""
    name = "bridge" if message.TYPE.startswith("shuangcheng.attendance") else "opportunities"
    return Event(str(uuid.uuid4()), service_source(name), time, message)


class World(OneService):
    """Attendance alone in memory: it is told of one message after another, a second apart.

    ``patient``: what needs a fact waits for it; otherwise its time is up at once.
    """

    def __init__(self, cap: int = 480, *, patient: bool = True, seats: Mapping[str, Registry] | None = None) -> None:
        super().__init__("attendance", NOW, seats, day_cap_minutes=cap, await_facts=60.0 if patient else 0.5)
        self.patient = patient
        self._count = 0

    def deliver(self, *messages: Message, time: datetime = NOW) -> list[Message]:
        """Decide these, which are said at this time; gives what was sent because of them."""
        already = len(self.sent)
        for message in messages:
            self.linkage.clock.moment += timedelta(seconds=1)
            self._count += 1
            event = event_of(message, time + timedelta(seconds=self._count))
            topic = ATTENDANCE_COMMANDS if type(message) in ATTENDANCE_COMMANDS.messages else OPPORTUNITIES_EVENTS
            self.linkage.log.say(topic.name, event)
            at_once(self.linkage.settle())
            if not self.patient:
                at_once(self.linkage.pass_time(timedelta(seconds=1)))
            assert all(minutes >= 0 for minutes in self.days.values())
        return self.sent[already:]

    def time_is_up(self) -> list[Message]:
        """Decide what waits, for the last time."""
        already = len(self.sent)
        at_once(self.linkage.pass_time(timedelta(hours=1)))
        assert self.parked == []
        return self.sent[already:]

    def under(self, cap: int) -> World:
        """From now on under this cap."""
        self.member.service = replace(self.member.service, policy=Policy(cap))
        at_once(self.member.start())
        return self

    @property
    def sent(self) -> list[Message]:
        """All that it told, ever."""
        return self.published(ATTENDANCE_EVENTS)

    @property
    def parked(self) -> list[str]:
        """Subjects behind which messages stand."""
        return sorted({row.subject or "" for row in self.aside})

    @property
    def days(self) -> dict[tuple[uuid.UUID, date], int]:
        """Minutes of persons on days."""
        found: defaultdict[tuple[uuid.UUID, date], int] = defaultdict(int)
        for row in self.rows(PersonDay):
            found[row.person, row.day] += row.added
        return found

    def standing(self, ref: str, host: str = "aa") -> Standing:
        """How the linkage stands to a record."""
        [found] = [row for row in self.standings() if row.key == (host, ref)]
        return found

    def standings(self) -> list[Standing]:
        """All of them."""
        return self.rows(Standing)


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
