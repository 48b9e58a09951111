"""The border and identity side by side, without topics: what one tells the other lies ready until it is handed over."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from contracts.messages import Message, identity, volunteers
from contracts.messages.base import AgeBand
from contracts.messages.refusals import MessageRefused
from contracts.topics import IDENTITY_COMMANDS
from services.chassis.decisions import Send
from tests.support.bridge import World as Border
from tests.support.bridge import of_kind
from tests.support.bridge_messages import HOME, HOME_REF, HOST, HOST_REF, MINUTE, consent
from tests.support.identity import World as Identity


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


class Linkage:
    """Both services under one clock. Each row of letters keeps the order of its keys, and of nothing else."""

    def __init__(self) -> None:
        self.border = Border()
        self.identity = Identity()
        self.commands: list[tuple[datetime, Send]] = []
        self.facts: list[tuple[datetime, Send]] = []
        self._seen = 0, 0

    @property
    def now(self) -> datetime:
        """The one clock."""
        return self.border.now

    def say(self, code: str, message: Message, *, at: datetime | None = None, id: str | None = None) -> list[Send]:
        """A registry says something; gives what the border sends at once."""
        sends = self.border.say(code, message, at=at, id=id)
        self._collect()
        return sends

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

    def identity_hears(self, which: int = 0) -> None:
        """Identity decides the first command of some home account."""
        if self.commands:
            moment, send = _first_of_some_key(self.commands, which)
            self.identity.take(send.message, at=moment)
            self._collect()

    def border_hears(self, which: int = 0) -> Message | None:
        """The border decides the first fact about some person; gives the fact."""
        if not self.facts:
            return None
        moment, send = _first_of_some_key(self.facts, which)
        self.border.hear(send.message, at=moment)
        self._collect()
        return send.message

    def settle(self) -> None:
        """All that is on its way arrives."""
        while self.commands or self.facts:
            self.identity_hears()
            self.border_hears()

    def pass_time(self, span: timedelta) -> None:
        """Let the clock of both go on."""
        self.identity.pass_time(span)
        self.border.pass_time(span)
        self._collect()

    def outcomes(self, id: str) -> list[str]:
        """What became of a registry's message: reasons of refusals, names of the commands that it led to."""
        refused = [f"refused({m.reason})" for m in of_kind(self.border.sent, MessageRefused) if m.message_id == id]
        origins = [(send.message, getattr(send.message, "origin", None)) for send in self.border.sent]
        return refused + [type(m).__name__ for m, origin in origins if origin is not None and origin.message_id == id]

    def link(self) -> None:
        """G1 and S1 become one."""
        self.offer()
        self.request()
        self.settle()
        assert any(isinstance(fact, identity.LinkEstablished) for fact in self.identity.told)

    def _collect(self) -> None:
        at_border, at_identity = self._seen
        new = self.border.sent[at_border:]
        self.commands += [(send.time or self.now, send) for send in new if send.topic.name == IDENTITY_COMMANDS.name]
        self.facts += [(send.time or self.now, send) for send in self.identity.sends[at_identity:]]
        self._seen = len(self.border.sent), len(self.identity.sends)


def _first_of_some_key(row: list[tuple[datetime, Send]], which: int) -> tuple[datetime, Send]:
    keys = list(dict.fromkeys(send.message.key for _, send in row))
    chosen = keys[which % len(keys)]
    return row.pop(next(place for place, (_, send) in enumerate(row) if send.message.key == chosen))
