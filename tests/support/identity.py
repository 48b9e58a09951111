"""Identity in memory: what the border tells it, made from a few words, and a world in which it is alone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

from contracts.messages import Message
from contracts.messages import identity as messages
from contracts.messages.base import AgeBand, Consent, Origin
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS
from services.chassis.decisions import CancelTimer
from tests.support.linkage import at_once
from tests.support.one_service import OneService

T0 = datetime(2026, 7, 18, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Told = TypeVar("Told", bound=Message)
R = TypeVar("R")


def hash_of(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def consent(version: int = 1, valid_until: datetime | None = None) -> Consent:
    return Consent(version=version, given_at=T0, valid_until=valid_until)


class Commands:
    """What the border tells of the volunteer S1 of registry sz, who serves in gz unless said otherwise."""

    def __init__(self) -> None:
        self._said = itertools.count(1)

    def _head(self, kind: str, home: str, home_ref: str, host: str, sender: str | None = None) -> dict[str, Any]:
        origin = Origin(registry=sender or home, message=UUID(int=next(self._said)))
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


class World(OneService, Commands):
    """Identity alone on a log in memory. It reads each command by itself."""

    def __init__(self) -> None:
        Commands.__init__(self)
        OneService.__init__(self, "identity", T0)
        self._timers_set: set[str] = set()

    def take(self, command: Message, *, at: datetime | None = None) -> list[Message]:
        """It reads one command that happened at ``at`` (now, if not said); gives the facts that this leads to."""
        already = len(self.linkage.log.records)
        self.linkage.hear("bridge", IDENTITY_COMMANDS, command, time=at)
        effects = at_once(self.member.take("identity", self.member.unread("identity")))
        for name, timer in effects.timers.items():
            if isinstance(timer, CancelTimer):
                assert name in self._timers_set, "a timer is cancelled that never stood"
            else:
                self._timers_set.add(name)
        at_once(self.member.send(at_once(self.member.base.standing())))
        return self._facts_since(already)

    def one(self, kind: type[Told], command: Message, *, at: datetime | None = None) -> Told:
        """The single fact of a command, which must be of this kind."""
        (fact,) = self.take(command, at=at)
        assert isinstance(fact, kind), fact
        return fact

    def pass_time(self, span: timedelta) -> list[Message]:
        """Let the clock go on and due timers come in; gives the facts."""
        already = len(self.linkage.log.records)
        at_once(self.linkage.pass_time(span))
        return self._facts_since(already)

    def linked(self) -> messages.LinkEstablished:
        """Offer and request, so that G1 and S1 are one."""
        self.take(self.offer())
        return self.one(messages.LinkEstablished, self.request())

    @property
    def told(self) -> list[Message]:
        """All facts, ever."""
        return self._facts_since(0)

    def _facts_since(self, already: int) -> list[Message]:
        assert self.aside == [], "a decision of identity raised: it waits for nothing"
        return self.published(IDENTITY_EVENTS, already)
