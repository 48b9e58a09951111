"""Border and identity in memory: what one has told the other is on its way until a test lets it be read."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, TypeVar

from contracts.envelope import Event, decode
from contracts.messages import Message, identity, volunteers
from contracts.messages.base import AgeBand
from contracts.messages.refusals import MessageRefused
from contracts.topics import DELIVERIES, IDENTITY_COMMANDS, IDENTITY_EVENTS
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from services.chassis.log.records import unpack_headers
from tests.support.bridge_messages import HOME, HOME_REF, HOST, HOST_REF, MINUTE, T0, THIRD, consent, registry
from tests.support.linkage import Member, at_once
from tests.support.linkages import memory_linkage
from tests.support.naming import own_id

AWAIT_FACTS: Final = timedelta(seconds=60)
Kind = TypeVar("Kind", bound=Message)
R = TypeVar("R")
_SEATS: Final = {code: registry(code) for code in (HOST, HOME, THIRD)}


def code_of(word: str) -> str:
    """A one-time code as long as the contract wants it."""
    return word.ljust(43, "-")


def offer(
    word: str = "code",
    *,
    ref: str = HOME_REF,
    host: str = HOST,
    version: int | None = 1,
    expires_at: datetime,
    age_band: AgeBand = AgeBand.FROM_16,
) -> volunteers.LinkOffered:
    """What the home says when she tapped "serve there"."""
    return volunteers.LinkOffered(
        volunteer_ref=ref,
        for_registry=host,
        code_hash=sha256(code_of(word).encode()).hexdigest(),
        age_band=age_band,
        guardian_approved=True,
        consent=None if version is None else consent(version),
        expires_at=expires_at,
    )


def request(word: str = "code", *, ref: str = HOST_REF, home_ref: str = HOME_REF) -> volunteers.LinkRequested:
    """What the host says when she brought a code along."""
    return volunteers.LinkRequested(volunteer_ref=ref, home=HOME, home_ref=home_ref, code=code_of(word))


class BorderAndIdentity:
    """Both services on one log, under one clock. The border reads each message of a registry at once.

    A command and a fact are on their way while they stand in their sender's outbox. Commands of one home account keep
    their order, and facts about one person; nothing else has an order.
    """

    def __init__(self) -> None:
        self.linkage = memory_linkage(("identity", "bridge"), T0, _SEATS)
        self.border = self.linkage.members["bridge"]
        self.identity = self.linkage.members["identity"]
        self._says = {entry.name for entry in self.border.service.says}
        self._read: list[tuple[int, Event]] = []
        self._seen = 0

    @property
    def now(self) -> datetime:
        """The one clock."""
        return self.linkage.now

    # -- what registries say ------------------------------------------------------------------------------------

    def say(self, code: str, message: Message, *, at: datetime | None = None, id: str | None = None) -> None:
        """A registry says something, and the border reads it."""
        self.linkage.say(code, message, time=at, id=id)
        self._border_reads(f"bridge.{code}")

    def offer(self, word: str = "code", *, ref: str = HOME_REF, host: str = HOST, version: int | None = 1) -> None:
        """The home offers her, for ten minutes."""
        self.say(HOME, offer(word, ref=ref, host=host, version=version, expires_at=self.now + 10 * MINUTE))

    def request(self, word: str = "code", *, host: str = HOST, ref: str = HOST_REF, home_ref: str = HOME_REF) -> None:
        """A host asks for the link."""
        self.say(host, request(word, ref=ref, home_ref=home_ref))

    def withdraw(self, version: int) -> None:
        """The home withdraws her consent for the host."""
        self.say(HOME, volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=version))

    def give(self, version: int) -> None:
        """The home gives consent for the host anew."""
        self.say(HOME, volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent(version)))

    def link(self) -> None:
        """G1 and S1 become one."""
        self.offer()
        self.request()
        self.settle()
        assert self.told_by_identity(identity.LinkEstablished)

    # -- what moves ---------------------------------------------------------------------------------------------

    def identity_hears(self, which: int = 0) -> None:
        """Identity reads the first command of some home account."""
        if (row := _first_of_some_key(self._commands(), which)) is not None:
            at_once(self.border.send([row]))
            self._identity_reads()

    def border_hears(self, which: int = 0) -> Message | None:
        """The border reads the first fact about some person; gives the fact."""
        if (row := _first_of_some_key(self._facts(), which)) is None:
            return None
        at_once(self.identity.send([row]))
        self._border_reads("bridge")
        return _event(row[1]).data

    def settle(self) -> None:
        """All that is on its way arrives."""
        while self.on_its_way:
            self.identity_hears()
            self.border_hears()

    def pass_time(self, span: timedelta) -> None:
        """Let the clock go on: due timers come in, and what has waited long enough is decided."""
        self.linkage.clock.moment += span
        at_once(self.identity.fire())
        at_once(self.identity.send(_on(IDENTITY_COMMANDS.name, self.identity)))
        self._identity_reads()
        at_once(self.border.fire())
        self._publish()
        self._border_reads("bridge")

    def _identity_reads(self) -> None:
        at_once(self.identity.take("identity", self.identity.unread("identity")))
        assert at_once(self.identity.base.set_aside()) == [], "a decision of identity raised: it waits for nothing"

    def _border_reads(self, group: str) -> None:
        at_once(self.border.take(group, self.border.unread(group)))
        moved = bool(self.set_aside)
        while moved:
            moved = bool(at_once(self.border.reenter()))
        self._publish()
        for row in self.set_aside:
            assert row.reason != "raised", row.detail
            assert row.fact is None or row.fact != row.subject, "what brings the fact would stand behind what waits"

    def _publish(self) -> None:
        """What the border says to others than identity is on the log at once."""
        rows = at_once(self.border.base.standing())
        at_once(self.border.send([(id, row) for id, row in rows if row.topic != IDENTITY_COMMANDS.name]))

    # -- what is seen -------------------------------------------------------------------------------------------

    @property
    def on_its_way(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._commands() or self._facts())

    @property
    def commands(self) -> list[Message]:
        """On their way to identity, in the order of their decisions."""
        return [_event(row).data for _, row in self._commands()]

    @property
    def facts(self) -> list[Message]:
        """On their way to the border, in the order of their decisions."""
        return [_event(row).data for _, row in self._facts()]

    def _commands(self) -> list[tuple[int, OutboxRow]]:
        return _on(IDENTITY_COMMANDS.name, self.border)

    def _facts(self) -> list[tuple[int, OutboxRow]]:
        return _on(IDENTITY_EVENTS.name, self.identity)

    def told(self, code: str, kind: type[Kind]) -> list[Kind]:
        """All deliveries of this kind to a registry, ever."""
        return self.linkage.log.told(DELIVERIES.of(code).name, kind)

    def told_by_identity(self, kind: type[Kind]) -> list[Kind]:
        """All facts of this kind that are not on their way any more, ever."""
        return self.linkage.log.told(IDENTITY_EVENTS.name, kind)

    def refusals(self, since: int = 0) -> list[MessageRefused]:
        """All refusals to registries; ``since``: how many records lay on the log before."""
        return [event.data for at, event in self._said() if at >= since and isinstance(event.data, MessageRefused)]

    def outcomes(self, id: str) -> list[str]:
        """What became of a registry's message: reasons of refusals, names of the commands that it led to."""
        refused = [f"refused({m.reason})" for m in self.refusals() if m.message_id == id]
        said = [event.data for _, event in self._said()] + self.commands
        origins = [(message, getattr(message, "origin", None)) for message in said]
        own = {own_id(code, id) for code in _SEATS}
        return refused + [type(m).__name__ for m, origin in origins if origin is not None and origin.message in own]

    def _said(self) -> list[tuple[int, Event]]:
        """All that the border has published but its timers, and how many records lay on the log before each."""
        records = self.linkage.log.records
        for at in range(self._seen, len(records)):
            if records[at].topic in self._says:
                self._read.append((at, decode(records[at].value, records[at].headers)))
        self._seen = len(records)
        return self._read

    @property
    def set_aside(self) -> list[Aside]:
        """What the border has set aside, in order."""
        return at_once(self.border.base.set_aside())

    def at_border(self, kind: type[R]) -> list[R]:
        """All rows of a type at the border."""
        return at_once(self.border.base.all_of(kind))

    def at_identity(self, kind: type[R]) -> list[R]:
        """All rows of a type at identity."""
        return at_once(self.identity.base.all_of(kind))


def _event(row: OutboxRow) -> Event:
    return decode(row.value, unpack_headers(row.headers))


def _on(topic: str, member: Member) -> list[tuple[int, OutboxRow]]:
    """What this member has to send on a topic, in order."""
    return [(id, row) for id, row in at_once(member.base.standing()) if row.topic == topic]


def _first_of_some_key(rows: list[tuple[int, OutboxRow]], which: int) -> tuple[int, OutboxRow] | None:
    if not rows:
        return None
    keys = list(dict.fromkeys(row.key for _, row in rows))
    chosen = keys[which % len(keys)]
    return next(one for one in rows if one[1].key == chosen)
