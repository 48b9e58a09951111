"""Identity's decisions without a database: commands go in, the facts told come out, rows and timers stay to be seen."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

from contracts.envelope import Event
from contracts.messages import Message
from contracts.messages import identity as messages
from contracts.messages.base import AgeBand, Consent, Origin
from contracts.topics import IDENTITY_COMMANDS, service_source
from services.chassis.decisions import CancelTimer, Inbound, Send, States, Timer
from services.chassis.settings import Settings
from services.identity.service import build
from services.identity.store import IdentityStore

T0 = datetime(2026, 7, 18, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Told = TypeVar("Told", bound=Message)


def hash_of(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def consent(version: int = 1, valid_until: datetime | None = None) -> Consent:
    return Consent(version=version, given_at=T0, valid_until=valid_until)


class World:
    """One identity service in memory, with a clock of its own."""

    def __init__(self) -> None:
        self.states = States()
        for table in IdentityStore.tables:
            table.declare(self.states)
        self.service = build(Settings(await_facts=60))
        self.now = T0
        self.sends: list[Send] = []
        self.timers: dict[str, Timer] = {}
        self._random = random.Random(7)
        self._count = 0

    def take(self, command: Message, *, at: datetime | None = None) -> list[Message]:
        """Decide one command that happened at ``at`` (now, if not said); give the facts it leads to."""
        self._count += 1
        event = Event(f"e{self._count}", service_source("bridge"), at or self.now, command)
        fresh = UUID(int=self._random.getrandbits(128), version=4)
        inbound = Inbound(event, IDENTITY_COMMANDS.name, fresh, self.now)
        decision = self.service.decide(self.states, inbound, self.now)
        for row in decision.changes:
            self.states.put(row)
        for row in decision.gone:
            self.states.drop(row)
        for timer in decision.timers:
            if isinstance(timer, CancelTimer):
                del self.timers[timer.name]  # a timer that never stood would be a mistake
            else:
                self.timers[timer.name] = timer
        self.sends += decision.sends
        return [send.message for send in decision.sends]

    @property
    def told(self) -> list[Message]:
        """All facts, ever."""
        return [send.message for send in self.sends]

    def one(self, kind: type[Told], command: Message, *, at: datetime | None = None) -> Told:
        """The single fact of a command, which must be of this kind."""
        (fact,) = self.take(command, at=at)
        assert isinstance(fact, kind), fact
        return fact

    def pass_time(self, span: timedelta) -> list[Message]:
        """Let the clock go on and due timers come in; give the facts."""
        self.now += span
        facts: list[Message] = []
        for name, timer in sorted(self.timers.items(), key=lambda item: item[1].due):
            if timer.due <= self.now:
                del self.timers[name]
                facts += self.take(timer.message, at=timer.due)
        return facts

    # -- the volunteer S1 of registry sz, who serves in gz unless said otherwise ----------------------------------

    def _head(self, kind: str, home: str, home_ref: str, host: str, sender: str | None = None) -> dict[str, Any]:
        origin = Origin(
            registry=sender or home, message_id=f"{kind}-{self._count + 1}", message_type=kind, key=home_ref
        )
        return {"home": home, "home_ref": home_ref, "host": host, "origin": origin}

    def offer(
        self,
        code: str = "code",
        *,
        home: str = "sz",
        home_ref: str = "S1",
        host: str = "gz",
        version: int | None = 1,
        age_band: AgeBand = AgeBand.FROM_16,
        guardian: bool = True,
        expires_at: datetime = T0 + 10 * MINUTE,
        valid_until: datetime | None = None,
    ) -> messages.OfferLink:
        return messages.OfferLink(
            **self._head("offer", home, home_ref, host),
            code_hash=hash_of(code),
            age_band=age_band,
            guardian_approved=guardian,
            consent=None if version is None else consent(version, valid_until),
            expires_at=expires_at,
        )

    def request(
        self, code: str = "code", host_ref: str = "G1", *, home: str = "sz", home_ref: str = "S1", host: str = "gz"
    ) -> messages.RequestLink:
        head = self._head("request", home, home_ref, host, sender=host)
        return messages.RequestLink(**head, host_ref=host_ref, code_hash=hash_of(code))

    def give(self, version: int, *, host: str = "gz") -> messages.RecordConsent:
        head = self._head("consent", "sz", "S1", host)
        return messages.RecordConsent(**head, state="given", version=version, consent=consent(version))

    def withdraw(self, version: int, *, host: str = "gz") -> messages.RecordConsent:
        return messages.RecordConsent(**self._head("consent", "sz", "S1", host), state="withdrawn", version=version)

    def break_it(self, by: str, reason: str = "volunteer_asked") -> messages.BreakLink:
        return messages.BreakLink(**self._head("break", "sz", "S1", "gz", sender=by), by=by, reason=reason)

    def restore(self, by: str) -> messages.RestoreLink:
        return messages.RestoreLink(**self._head("restore", "sz", "S1", "gz", sender=by), by=by)

    def linked(self) -> messages.LinkEstablished:
        """Offer and request, so that G1 and S1 are one."""
        self.take(self.offer())
        return self.one(messages.LinkEstablished, self.request())
