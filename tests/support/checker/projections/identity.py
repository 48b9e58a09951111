"""Identity's tables: accounts, offers, requests, ties and consent, command by command in the order of each account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from contracts.messages import identity as messages
from tests.support.checker.book import Book
from tests.support.checker.projections.expected import Expected
from tests.support.checker.world import Line

__all__ = ["identity"]

_EVENTS = (
    messages.LinkEstablished,
    messages.LinkRefused,
    messages.LinkBroken,
    messages.LinkRestored,
    messages.ConsentChanged,
    messages.CommandRefused,
)


def identity(book: Book) -> Iterator[Expected]:
    """All of them."""
    told = _Identity(book)
    for line in book.published("identity.commands.v1"):
        if not book.stands_aside(line, "identity"):
            told.command(line)
    yield from (told.account, told.offer, told.request, told.link, told.consent)


class _Identity:
    """The tables while the commands are gone through; what a command led to says how it was decided."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.account = Expected("identity", "account", ("home", "home_ref"))
        self.offer = Expected("identity", "offer", ("person", "host"))
        self.request = Expected("identity", "request", ("request_id",))
        self.link = Expected("identity", "link", ("person", "host"))
        self.consent = Expected("identity", "consent", ("person", "host"))
        self._asked: dict[tuple[str, str], str] = {}
        """(host, id of its LinkRequested) → request."""
        self._pending: dict[tuple[str, str, str], dict[str, str]] = {}
        """(home, home_ref, host) → request without an answer → host_ref."""
        # Who has only been offered is on no topic yet: her number is taken as it stands.
        self._persons = {(row["home"], row["home_ref"]): row["person"] for row in book.rows("identity", "account")}
        told = {(x.data.home, x.data.home_ref): x.data.person for x in book.published("identity.events.v1")}
        told |= {home: person for person, home in book.home_of.items()}  # of those who are linked everybody knows
        self._persons |= told
        self._known = told

    def command(self, line: Line) -> None:
        """One command and what it led to."""
        said = line.data
        home = (said.home, said.home_ref)
        self.account.put(line, *home, **({"person": self._known[home]} if home in self._known else {}))
        if home not in self._persons:
            return  # the account is missing, and found to be
        effects = self._book.effects(line, *_EVENTS)
        if not any(isinstance(x.data, messages.CommandRefused) for x in effects):
            self._take(line, self._persons[home])
        for event in effects:
            self._event(event, line)

    def _take(self, line: Line, person: UUID) -> None:
        said, key = line.data, (person, line.data.host)
        assert line.event is not None
        match said:
            case messages.OfferLink():
                before = self.offer.column(key, "offered_at")
                if before is None or line.event.time >= before:
                    names = ("code_hash", "age_band", "guardian_approved", "expires_at")
                    columns = {name: getattr(said, name) for name in names}
                    self.offer.put(line, *key, **columns, offered_at=line.event.time, wrong_codes=0)
                self._hear(line, person, "given", said.consent)
            case messages.RecordConsent():
                self._hear(line, person, said.state, said.consent)
            case messages.RequestLink():
                self._asked[said.host, said.origin.message_id] = line.id
                self._pending.setdefault((said.home, said.home_ref, said.host), {})[line.id] = said.host_ref
                columns = {name: getattr(said, name) for name in ("host", "host_ref", "code_hash", "origin")}
                self.request.put(line, line.id, person=person, **columns, asked_at=line.event.time, outcome="pending")

    def _hear(self, line: Line, person: UUID, state: str, consent: Any) -> None:
        """The newest word on consent counts; at one version a withdrawal is the later one."""
        key = (person, line.data.host)
        version = line.data.version if isinstance(line.data, messages.RecordConsent) else consent.version
        known = self.consent.rows.get(key)
        before = (0, False) if known is None else (known[0]["version"], known[0]["state"] == "withdrawn")
        if (version, state == "withdrawn") > before:
            kept = consent if state == "given" else None
            self.consent.put(line, *key, state=state, version=version, consent=kept)

    def _event(self, event: Line, command: Line) -> None:
        fact = event.data
        key = (fact.person, fact.host)
        match fact:
            case messages.LinkRefused():
                self._answer(event, self._asked.get((fact.host, fact.origin.message_id)), fact.reason)
                of_itself = getattr(command.data, "origin", None) == fact.origin
                if fact.reason == "wrong_code" and of_itself and isinstance(command.data, messages.RequestLink):
                    wrong = self.offer.column(key, "wrong_codes")
                    if wrong is not None:
                        self.offer.put(event, *key, wrong_codes=wrong + 1)
            case messages.LinkEstablished():
                self._establish(event)
            case messages.LinkBroken():
                if isinstance(command.data, messages.RestoreLink):
                    # One side took its break back, and the other's still stands.
                    by, reason = command.data.by, None
                else:
                    by, reason = fact.by, fact.reason
                side = "home_break" if by == fact.home else "host_break"
                self.link.put(event, *key, version=fact.link_version, **{side: reason})
            case messages.LinkRestored():
                self.link.put(event, *key, version=fact.link_version, home_break=None, host_break=None)

    def _establish(self, event: Line) -> None:
        fact = event.data
        key = (fact.person, fact.host)
        first: dict[str, Any] = {}
        if key not in self.link.rows:
            first = {"code_hash": self.offer.column(key, "code_hash"), "home_break": None, "host_break": None}
        names = ("host_ref", "age_band", "guardian_approved")
        columns = {name: getattr(fact, name) for name in names}
        self.link.put(event, *key, version=fact.link_version, **columns, **first)
        waiting = self._pending.get((fact.home, fact.home_ref, fact.host), {})
        for request in [request for request, host_ref in waiting.items() if host_ref == fact.host_ref]:
            if not self._refused(event, request):
                self._answer(event, request, "established")

    def _refused(self, event: Line, request: str) -> bool:
        """Whether the same decision refused it."""
        assert event.event is not None
        origin = self.request.column((request,), "origin")
        told = self._book.effects_of(event.event.causation or "", messages.LinkRefused)
        return any(x.data.origin == origin for x in told)

    def _answer(self, event: Line, request: str | None, outcome: str) -> None:
        if request is None or (request,) not in self.request.rows:
            return
        self.request.put(event, request, outcome=outcome)
        asked = event.data
        self._pending.get((asked.home, asked.home_ref, asked.host), {}).pop(request, None)
