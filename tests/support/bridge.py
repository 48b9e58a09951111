"""The border without a database: messages go in, what it sends stays to be seen; waits and timers run by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid5

from contracts.envelope import Event
from contracts.ids import signup_id, transfer_id
from contracts.messages import Message, attendance, bridge, identity, receipts, service, signups, volunteers
from contracts.messages.base import AgeBand, Consent, EvidenceClass, Origin
from contracts.messages.deliveries import CreditPosted
from contracts.messages.refusals import MessageRefused
from contracts.messages.service import ServiceRecord
from contracts.registry import Capability, Names, Registry
from contracts.topics import registry_source, registry_topic_for, service_source
from services.bridge.rules.admission import Border
from services.bridge.rules.names import locks, person_name, subject
from services.bridge.service import decisions
from services.bridge.states import ServiceState, Transfer
from services.bridge.store import BridgeStore
from services.chassis.decisions import CancelTimer, Decision, Inbound, Send, States, Timer

T0 = datetime(2026, 7, 18, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PERSON = UUID("00000000-0000-4000-8000-000000000001")
HOST, HOME, THIRD = "gz", "sz", "fs"
HOST_REF, HOME_REF = "G1", "S1"
AWAIT_FACTS = timedelta(seconds=60)
Kind = TypeVar("Kind", bound=Message)


def registry(code: str, capability: Capability = "idempotent", state: Any = "active") -> Registry:
    names = Names(zh=code, en=code)
    return Registry(code=code, names=names, division_code="440000", state=state, capability=capability, system="none")


def consent(version: int = 1, valid_until: datetime | None = None) -> Consent:
    return Consent(version=version, given_at=T0, valid_until=valid_until)


class World:
    """One border of three registries in memory, with a clock of its own. gz serves, sz is the home, fs is a third."""

    def __init__(self, capability: Capability = "idempotent", states: dict[str, str] | None = None) -> None:
        seats = {code: registry(code, capability, (states or {}).get(code, "active")) for code in (HOST, HOME, THIRD)}
        self.decisions = decisions(Border(seats, receipt_due=timedelta(seconds=30)))
        self.states = States()
        for table in BridgeStore.tables:
            table.declare(self.states)
        self.now = T0
        self.sent: list[Send] = []
        self.timers: dict[str, Timer] = {}
        self.waiting: list[tuple[Inbound, str, datetime]] = []
        self._random = random.Random(7)
        self._count = 0

    # -- what happens -------------------------------------------------------------------------------------------

    def say(self, code: str, message: Message, *, at: datetime | None = None, id: str | None = None) -> list[Send]:
        """A registry says something; gives what the border sends."""
        source = registry_source(code)
        return self._take(message, source, registry_topic_for(source, type(message)) or "?", at, id)

    def hear(self, message: Message, *, at: datetime | None = None) -> list[Send]:
        """An inner service tells the border something."""
        context = message.TYPE.split(".")[1]
        return self._take(message, service_source(context), f"{context}.events.v1", at, None)

    def pass_time(self, span: timedelta) -> list[Send]:
        """Let the clock go on: due timers come in, and what has waited long enough is decided."""
        self.now += span
        before = len(self.sent)
        for name, timer in sorted(self.timers.items(), key=lambda item: item[1].due):
            if timer.due <= self.now:
                del self.timers[name]
                self._take(timer.message, service_source("bridge"), timer.topic.name, timer.due, None)
        due = [wait for wait in self.waiting if wait[2] <= self.now]
        self.waiting = [wait for wait in self.waiting if wait[2] > self.now]
        for inbound, _, _ in due:
            self._decide(replace(inbound, waited_out=True))
        return self.sent[before:]

    def _take(self, message: Message, source: str, topic: str, at: datetime | None, id: str | None) -> list[Send]:
        self._count += 1
        event = Event(id or f"e{self._count}", source, at or self.now, message)
        fresh = UUID(int=self._random.getrandbits(128), version=4)
        before = len(self.sent)
        self._decide(Inbound(event, topic, fresh, self.now))
        return self.sent[before:]

    def _decide(self, inbound: Inbound) -> None:
        decision: Decision = self.decisions[type(inbound.data)](self.states, inbound, self.now)
        allowed = {subject(inbound), *locks(inbound)}
        if decision.wait is not None:
            assert not inbound.waited_out, "it may not wait again"
            assert decision.wait.fact in allowed or decision.wait.fact.startswith("person:")
            until = decision.wait.until or inbound.received_at + AWAIT_FACTS
            self.waiting.append((inbound, decision.wait.fact, until))
            return
        for row in decision.changes:
            self.states.put(row)
        for timer in decision.timers:
            if isinstance(timer, CancelTimer):
                self.timers.pop(timer.name, None)
            else:
                self.timers[timer.name] = timer
        self.sent += decision.sends
        for fact in decision.facts:
            assert fact in allowed or fact == person_name(inbound.data.person)
            released = [wait for wait in self.waiting if wait[1] == fact]
            self.waiting = [wait for wait in self.waiting if wait[1] != fact]
            for waiting, _, _ in released:
                self._decide(waiting)

    # -- what is seen -------------------------------------------------------------------------------------------

    def service(self, record_ref: str = "R1") -> ServiceState:
        found = self.states.get(ServiceState, (HOST, record_ref))
        assert found is not None
        return found

    def transfer(self, version: int = 1, record_ref: str = "R1") -> Transfer:
        found = self.states.get(Transfer, transfer_id(HOST, record_ref, version))
        assert found is not None
        return found

    def told(self, code: str, kind: type[Kind]) -> list[Kind]:
        """All deliveries of this kind to a registry, ever."""
        return of_kind([send for send in self.sent if send.topic.name == f"registry.{code}.deliveries.v1"], kind)

    def refused(self, code: str) -> list[str]:
        """Reasons of all refusals to a registry, ever."""
        topic = f"registry.{code}.refusals.v1"
        return [m.reason for m in of_kind([s for s in self.sent if s.topic.name == topic], MessageRefused)]

    # -- the volunteer S1 of registry sz, who serves in gz as G1 ------------------------------------------------

    def link(self, version: int = 1, *, until: datetime | None = None, **fields: Any) -> list[Send]:
        return self.hear(established(version, until=until, **fields))

    def confirm(self, version: int, minutes: int, record_ref: str = "R1", host: str = HOST) -> list[Send]:
        return self.hear(confirmed(version, minutes, record_ref, host))

    def hold(self, version: int, minutes: int, record_ref: str = "R1") -> list[Send]:
        body = record(version, minutes, record_ref)
        return self.hear(attendance.ServiceHeld(**_fact(body, HOST), minutes=minutes, reason="no_check_in"))

    def revoke(self, version: int, record_ref: str = "R1") -> list[Send]:
        body = record(version, 60, record_ref).model_copy(update={"revoked": True})
        return self.hear(attendance.ServiceRevoked(**_fact(body, HOST), minutes=0))

    def give(self, version: int) -> list[Send]:
        given = volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent(version))
        return self.say(HOME, given)

    def withdraw(self, version: int) -> list[Send]:
        return self.say(HOME, volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=version))

    def accept(self, version: int, delta: int | None = None, *, code: str = HOME, ref: str = HOME_REF) -> list[Send]:
        transfer = self.transfer(version)
        booked = transfer.delta if delta is None else delta
        return self.say(
            code,
            receipts.CreditAccepted(transfer_id=transfer.id, volunteer_ref=ref, delta=booked, posted_at=self.now),
        )

    def refuse(self, version: int, reason: str = "daily_cap", *, retry: bool = False) -> list[Send]:
        transfer = self.transfer(version)
        return self.say(
            HOME,
            receipts.CreditRefused(transfer_id=transfer.id, volunteer_ref=HOME_REF, reason=reason, retry=retry),
        )

    def cannot_say(self, version: int) -> list[Send]:
        return self.say(HOME, receipts.CreditUnknown(transfer_id=self.transfer(version).id, volunteer_ref=HOME_REF))


def of_kind(sends: list[Send], kind: type[Kind]) -> list[Kind]:
    return [send.message for send in sends if isinstance(send.message, kind)]


def credits(sends: list[Send]) -> list[int]:
    """The deltas of the credits among these messages."""
    return [credit.delta for credit in of_kind(sends, CreditPosted)]


def states_told(sends: list[Send]) -> list[str]:
    """The states of the transfers told of on bridge.events."""
    return [changed.state for changed in of_kind(sends, bridge.TransferChanged)]


def established(
    version: int = 1,
    *,
    person: UUID = PERSON,
    host: str = HOST,
    host_ref: str = HOST_REF,
    home: str = HOME,
    home_ref: str = HOME_REF,
    consent_version: int = 1,
    until: datetime | None = None,
    guardian: bool = True,
) -> identity.LinkEstablished:
    return identity.LinkEstablished(
        person=person,
        home=home,
        home_ref=home_ref,
        host=host,
        host_ref=host_ref,
        link_version=version,
        age_band=AgeBand.FROM_16,
        guardian_approved=guardian,
        consent=consent(consent_version, until),
    )


def broken(version: int, by: str = HOME) -> identity.LinkBroken:
    return identity.LinkBroken(
        person=PERSON,
        home=HOME,
        home_ref=HOME_REF,
        host=HOST,
        host_ref=HOST_REF,
        link_version=version,
        by=by,
        reason="volunteer_asked",
    )


def restored(version: int, by: str = HOME) -> identity.LinkRestored:
    return identity.LinkRestored(
        person=PERSON, home=HOME, home_ref=HOME_REF, host=HOST, host_ref=HOST_REF, link_version=version, by=by
    )


def record(version: int = 1, minutes: int = 60, record_ref: str = "R1") -> ServiceRecord:
    return ServiceRecord(
        record_ref=record_ref,
        version=version,
        project_ref="P1",
        shift_ref="H1",
        started_at=T0 - timedelta(hours=4),
        ended_at=T0 - timedelta(hours=4) + minutes * MINUTE,
        evidence_class=EvidenceClass.SCAN,
    )


def _fact(body: ServiceRecord, host: str) -> dict[str, Any]:
    return {"person": PERSON, "host": host, "signup_id": signup_id(PERSON, host, "P1", "H1"), "record": body}


def confirmed(version: int, minutes: int, record_ref: str = "R1", host: str = HOST) -> attendance.ServiceConfirmed:
    return attendance.ServiceConfirmed(**_fact(record(version, minutes, record_ref), host), minutes=minutes)


def attested(version: int = 1, minutes: int = 60, ref: str = HOST_REF) -> service.ServiceAttested:
    return service.ServiceAttested(**record(version, minutes).model_dump(), volunteer_ref=ref)


def signup(kind: Any = signups.SignupRequested, *, ref: str = HOST_REF, host: str = HOST, **more: Any) -> Message:
    made: Message = kind(signup_ref="N1", volunteer_ref=ref, host=host, project_ref="P1", shift_ref="H1", **more)
    return made


def origin(code: str = HOST, id: str = "e1", kind: str = "t", key: str = HOST_REF) -> Origin:
    return Origin(registry=code, message_id=id, message_type=kind, key=key)


def person(number: int) -> UUID:
    return uuid5(PERSON, str(number))
