"""The border without a database: messages go in, what it sends stays to be seen; waits and timers run by hand."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from contracts.envelope import Event
from contracts.ids import transfer_id
from contracts.messages import (
    Message,
    attendance,
    bridge,
    receipts,
    volunteers,
)
from contracts.messages.deliveries import CreditPosted
from contracts.messages.refusals import MessageRefused
from contracts.registry import Capability, Registry
from contracts.topics import registry_source, registry_topic_for, service_source
from services.bridge.crossings import REACTIONS
from services.bridge.policy import Policy
from services.bridge.rules.names import person_name
from services.bridge.states import ServiceState, Transfer
from services.bridge.store import BridgeStore
from services.chassis.decisions import CancelTimer, Decision, Inbound, Send, States, Timer, Wait
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    T0,
    THIRD,
    _fact,
    confirmed,
    consent,
    established,
    record,
    registry,
)
from tests.support.reacting import first_names

AWAIT_FACTS = timedelta(seconds=60)
Kind = TypeVar("Kind", bound=Message)


@dataclass
class Aside:
    """A message that waits for ``fact`` until ``until``; without a fact it stands behind another of its subject."""

    inbound: Inbound
    fact: str | None = None
    until: datetime | None = None


class World:
    """One border of three registries in memory, with a clock of its own. gz serves, sz is the home, fs is a third."""

    def __init__(self, capability: Capability = "idempotent", states: dict[str, str] | None = None) -> None:
        self._seats = {
            code: registry(code, capability, (states or {}).get(code, "active")) for code in (HOST, HOME, THIRD)
        }
        self.policy = Policy(self._seats, receipt_due=timedelta(seconds=30))
        self.states = States()
        for table in BridgeStore.tables:
            table.declare(self.states)
        self.now = T0
        self.sent: list[Send] = []
        self.timers: dict[str, Timer] = {}
        self.lines: dict[str, list[Aside]] = {}
        """By subject: what waits at the head, and what came behind it."""
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
        for name in [name for name, line in self.lines.items() if line[0].until and line[0].until <= self.now]:
            self._go_on(name)
        return self.sent[before:]

    def configure(self, code: str, state: str, **more: Any) -> None:
        """The border is started anew with a registry in another state, or of another capability."""
        self._seats[code] = self._seats[code].model_copy(update={"state": state, **more})
        self.policy = Policy(self._seats, receipt_due=timedelta(seconds=30))

    def remove(self, code: str) -> Registry:
        """The border is started anew without this registry in its folder; gives what its file said."""
        gone = self._seats.pop(code)
        self.policy = Policy(self._seats, receipt_due=timedelta(seconds=30))
        return gone

    def put_back(self, seat: Registry) -> None:
        """The border is started anew with this file in its folder again."""
        self._seats[seat.code] = seat
        self.policy = Policy(self._seats, receipt_due=timedelta(seconds=30))

    def _take(self, message: Message, source: str, topic: str, at: datetime | None, id: str | None) -> list[Send]:
        self._count += 1
        event = Event(id or f"e{self._count}", source, at or self.now, message)
        fresh = UUID(int=self._random.getrandbits(128), version=4)
        before = len(self.sent)
        arrived = self.now if topic.startswith("registry.") else None
        came = Aside(Inbound(event, topic, fresh, self.now, appended_at=arrived))
        name = REACTIONS[type(message)].subject(came.inbound)
        if name in self.lines:
            self.lines[name].append(came)
        else:
            self.lines[name] = [came]
            self._go_on(name)
        return self.sent[before:]

    def _go_on(self, name: str) -> None:
        """Decide the messages of a subject in order until one waits, and then those of others that this released."""
        line, facts = self.lines[name], list[str]()
        while line and (decision := self._decision(line[0])) is not None:
            self._apply(decision, line.pop(0).inbound)
            facts += decision.facts
        if not line:
            del self.lines[name]
        for released in [other for other, waiting in self.lines.items() if waiting[0].fact in facts]:
            if released in self.lines:
                self._go_on(released)

    def decide(self, inbound: Inbound) -> Decision:
        """By the row of this message."""
        return REACTIONS[type(inbound.data)].decide(self.states, inbound, self.now, self.policy)

    def wait_of(self, id: str) -> Wait | None:
        """How the message of this id, the first of its line, waits if it is decided now; None if it waits no more."""
        found = [line[0].inbound for line in self.lines.values() if line[0].inbound.event.id == id]
        return next((self.decide(one).wait for one in found), None)

    def _decision(self, first: Aside) -> Decision | None:
        """As the chassis decides; None when the message waits."""
        inbound = first.inbound
        decision, row = self.decide(inbound), REACTIONS[type(inbound.data)]
        if decision.wait is None:
            return decision
        first.fact, first.until = decision.wait.fact, decision.wait.until or inbound.received_at + AWAIT_FACTS
        assert first.fact is None or first.fact in row.locks(inbound) or first.fact.startswith("person:")
        assert first.fact != row.subject(inbound), "what brings the fact would stand behind what waits for it"
        if first.until > self.now:
            return None
        decision = self.decide(replace(inbound, waited_out=True))
        assert decision.wait is None, "it may not wait again"
        return decision

    def _apply(self, decision: Decision, inbound: Inbound) -> None:
        allowed = first_names(REACTIONS[type(inbound.data)], inbound)
        for changed in decision.changes:
            self.states.put(changed)
        for gone in decision.gone:
            self.states.drop(gone)
        for timer in decision.timers:
            if isinstance(timer, CancelTimer):
                self.timers.pop(timer.name, None)
            else:
                self.timers[timer.name] = timer
        self.sent += decision.sends
        for fact in decision.facts:
            assert fact in allowed or fact == person_name(inbound.data.person)

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


def linked(capability: Capability = "idempotent") -> World:
    """A world in which G1 and S1 are one."""
    world = World(capability)
    world.link()
    return world
