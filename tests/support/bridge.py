"""The border in memory: a few words for what registries and inner services say to it, and for what it does then."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from contracts.envelope import decode
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
from contracts.topics import DELIVERIES, REFUSALS
from services.bridge.policy import Policy
from services.bridge.states import ServiceState, Transfer
from services.chassis.decisions import States
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
    inner,
    record,
    registry,
)
from tests.support.linkage import at_once
from tests.support.linkages import services_of, settings_of
from tests.support.memory import Memory
from tests.support.one_service import OneService

AWAIT_FACTS = timedelta(seconds=60)
Kind = TypeVar("Kind", bound=Message)
Row = TypeVar("Row")


class Sent(NamedTuple):
    """What the border sent."""

    topic: str
    time: datetime
    message: Message


class Raised(AssertionError):
    """The border set a message aside for an operator: its decision raised, or it is not in the contract."""


class World(OneService):
    """The border alone, of three registries. gz serves, sz is the home, fs is a third. All that is said is decided at
    once."""

    def __init__(self, capability: Capability = "idempotent", states: dict[str, str] | None = None) -> None:
        self._seats = {
            code: registry(code, capability, (states or {}).get(code, "active")) for code in (HOST, HOME, THIRD)
        }
        super().__init__("bridge", T0, self._seats)
        base = self.member.base
        assert isinstance(base, Memory)
        self.states: States = base.rows
        """All rows, as rules see them."""
        self._says = {entry.name for entry in self.member.service.says}
        self._sent: list[Sent] = []
        self._seen = 0

    # -- what happens -------------------------------------------------------------------------------------------

    def say(self, code: str, message: Message, *, at: datetime | None = None, id: str | None = None) -> list[Sent]:
        """A registry says something; gives what the border sends."""
        already = len(self.sent)
        self.linkage.say(code, message, time=at, id=id)
        return self._settled(already)

    def hear(self, message: Message, *, at: datetime | None = None, id: str | None = None) -> list[Sent]:
        """An inner service tells the border something."""
        already = len(self.sent)
        self.linkage.hear(*inner(message), message, time=at, id=id)
        return self._settled(already)

    def pass_time(self, span: timedelta) -> list[Sent]:
        """Let the clock go on: due timers come in, and what has waited long enough is decided."""
        self.now += span
        return self._settled(len(self.sent))

    def _settled(self, already: int) -> list[Sent]:
        at_once(self.linkage.settle())
        for row in self.aside:
            if row.reason not in ("waiting", "behind"):
                raise Raised(f"{row.reason}: {row.detail}")
        return self.sent[already:]

    def configure(self, code: str, state: str, **more: Any) -> None:
        """The border is started anew with a registry in another state, or of another capability."""
        self.put_back(self._seats[code].model_copy(update={"state": state, **more}))

    def remove(self, code: str) -> Registry:
        """The border is started anew without this registry in its folder; gives what its file said."""
        gone = self._seats.pop(code)
        self._start_anew()
        return gone

    def put_back(self, seat: Registry) -> None:
        """The border is started anew with this file in its folder."""
        self._seats[seat.code] = seat
        self._start_anew()

    def _start_anew(self) -> None:
        [anew] = services_of(["bridge"], settings_of({}), self._seats)
        self.member.service = replace(self.member.service, policy=anew.policy, streams=anew.streams)
        at_once(self.member.start())

    # -- what is seen -------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The one clock. A test that sets it lets nothing happen yet."""
        return self.linkage.now

    @now.setter
    def now(self, moment: datetime) -> None:
        self.linkage.clock.moment = moment

    @property
    def policy(self) -> Policy:
        """The values by which it decides."""
        values: Policy = self.member.service.policy
        return values

    @property
    def sent(self) -> list[Sent]:
        """All that it sent, ever; not its timers."""
        records = self.linkage.log.records
        for one in records[self._seen :]:
            if one.topic in self._says:
                event = decode(one.value, one.headers)
                self._sent.append(Sent(one.topic, event.time, event.data))
        self._seen = len(records)
        return self._sent

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
        return of_kind([send for send in self.sent if send.topic == DELIVERIES.of(code).name], kind)

    def refused(self, code: str) -> list[str]:
        """Reasons of all refusals to a registry, ever."""
        topic = REFUSALS.of(code).name
        return [m.reason for m in of_kind([send for send in self.sent if send.topic == topic], MessageRefused)]

    # -- the volunteer S1 of registry sz, who serves in gz as G1 ------------------------------------------------

    def link(self, version: int = 1, *, until: datetime | None = None, **fields: Any) -> list[Sent]:
        return self.hear(established(version, until=until, **fields))

    def confirm(self, version: int, minutes: int, record_ref: str = "R1", host: str = HOST) -> list[Sent]:
        return self.hear(confirmed(version, minutes, record_ref, host))

    def hold(self, version: int, minutes: int, record_ref: str = "R1") -> list[Sent]:
        body = record(version, minutes, record_ref)
        return self.hear(attendance.ServiceHeld(**_fact(body, HOST), minutes=minutes, reason="no_check_in"))

    def revoke(self, version: int, record_ref: str = "R1") -> list[Sent]:
        body = record(version, 60, record_ref).model_copy(update={"revoked": True})
        return self.hear(attendance.ServiceRevoked(**_fact(body, HOST), minutes=0))

    def give(self, version: int) -> list[Sent]:
        given = volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent(version))
        return self.say(HOME, given)

    def withdraw(self, version: int) -> list[Sent]:
        return self.say(HOME, volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=version))

    def accept(self, version: int, delta: int | None = None, *, code: str = HOME, ref: str = HOME_REF) -> list[Sent]:
        transfer = self.transfer(version)
        booked = transfer.delta if delta is None else delta
        return self.say(
            code,
            receipts.CreditAccepted(transfer_id=transfer.id, volunteer_ref=ref, delta=booked, posted_at=self.now),
        )

    def refuse(self, version: int, reason: str = "daily_cap", *, retry: bool = False) -> list[Sent]:
        transfer = self.transfer(version)
        return self.say(
            HOME,
            receipts.CreditRefused(transfer_id=transfer.id, volunteer_ref=HOME_REF, reason=reason, retry=retry),
        )

    def cannot_say(self, version: int) -> list[Sent]:
        return self.say(HOME, receipts.CreditUnknown(transfer_id=self.transfer(version).id, volunteer_ref=HOME_REF))


def of_kind(sends: list[Sent], kind: type[Kind]) -> list[Kind]:
    return [send.message for send in sends if isinstance(send.message, kind)]


def credits(sends: list[Sent]) -> list[int]:
    """The deltas of the credits among these messages."""
    return [credit.delta for credit in of_kind(sends, CreditPosted)]


def states_told(sends: list[Sent]) -> list[str]:
    """The states of the transfers told of on bridge.events."""
    return [changed.state for changed in of_kind(sends, bridge.TransferChanged)]


def linked(capability: Capability = "idempotent") -> World:
    """A world in which G1 and S1 are one."""
    world = World(capability)
    world.link()
    return world
