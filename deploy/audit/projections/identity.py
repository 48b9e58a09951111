"""Identity's tables: accounts, roles, offers, requests, links and consent, command by command for each account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from contracts.messages import identity as messages
from contracts.messages.base import Origin
from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected
from deploy.audit.world import Line

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
    yield from (told.account, told.role, told.offer, told.request, told.link, told.consent)


class _Identity:
    """The tables while commands are gone through. The events of a command say how it was decided."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.account = Expected("identity", "account", ("home", "home_ref"))
        self.role = Expected("identity", "role", ("registry", "ref"))
        self.offer = Expected("identity", "offer", ("person", "host"))
        self.request = Expected("identity", "request", ("request_id",))
        self.link = Expected("identity", "link", ("person", "host"))
        self.consent = Expected("identity", "consent", ("person", "host"))
        self._asked: dict[tuple[str, UUID], str] = {}
        """(host, id of its LinkRequested) → request that stands."""
        # A volunteer who has only been offered is on no topic yet: her person is taken from the table.
        self._persons = {(row["home"], row["home_ref"]): row["person"] for row in book.rows("identity", "account")}
        told = {
            (x.data.home, x.data.home_ref): x.data.person
            for x in book.published("identity.events.v1")
            if not isinstance(x.data, messages.LinkRefused)  # a number of which no home has spoken is nobody's
        }
        told |= {home: person for person, home in book.home_of.items()}  # events tell the persons who are linked
        self._persons |= told
        self._known = told

    def command(self, line: Line) -> None:
        """One command and its events."""
        said = line.data
        home = (said.home, said.home_ref)
        effects = self._book.effects(line, *_EVENTS)
        if isinstance(said, messages.RequestLink):
            self._request(line)  # a host's request alone makes no account
        elif not isinstance(said, messages.ExpireLinkRequest):
            self.account.put(line, *home, **({"person": self._known[home]} if home in self._known else {}))
            if home not in self._persons:
                return  # the account is missing, and the comparison will say so
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
                self._role(line, said.home, said.home_ref, "home")
                if before is None or line.event.time >= before:
                    names = ("code_hash", "age_band", "guardian_approved", "expires_at")
                    columns = {name: getattr(said, name) for name in names}
                    self.offer.put(line, *key, **columns, offered_at=line.event.time)
                if said.consent is not None:
                    self._hear(line, person, "given", said.consent)
            case messages.RecordConsent():
                self._hear(line, person, said.state, said.consent)

    def _request(self, line: Line) -> None:
        said = line.data
        assert line.event is not None
        self._asked[said.host, said.origin.message] = line.id
        names = ("home", "home_ref", "host", "host_ref", "code_hash", "origin")
        columns = {name: getattr(said, name) for name in names}
        self.request.put(line, line.id, **columns, asked_at=line.event.time)

    def _hear(self, line: Line, person: UUID, state: str, consent: Any) -> None:
        """A withdrawal always counts, at the highest version heard; a giving under a higher version only."""
        key = (person, line.data.host)
        version = line.data.version if isinstance(line.data, messages.RecordConsent) else consent.version
        known = self.consent.rows.get(key)
        highest = 0 if known is None else known[0]["version"]
        if state == "withdrawn" or version > highest:
            kept = consent if state == "given" else None
            self.consent.put(line, *key, state=state, version=max(version, highest), consent=kept)

    def _event(self, event: Line, command: Line) -> None:
        fact = event.data
        key = (fact.person, fact.host)
        match fact:
            case messages.LinkRefused():
                self._answer(fact.host, fact.origin)
            case messages.LinkEstablished():
                self._establish(event)
            case messages.LinkBroken():
                if isinstance(command.data, messages.RestoreLink):
                    # One side has ended its break, and the other side's break still stands.
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
            first = {"home_break": None, "host_break": None}
            self._role(event, fact.host, fact.host_ref, "host")
        if fact.origin is not None and (request := self._answer(fact.host, fact.origin)) is not None:
            first["code_hash"] = request["code_hash"]
        names = ("host_ref", "age_band", "guardian_approved")
        columns = {name: getattr(fact, name) for name in names}
        self.link.put(event, *key, version=fact.link_version, **columns, **first)

    def _role(self, line: Line, registry: str, ref: str, role: str) -> None:
        """An account is a home account since its first offer, or a guest's account since its link, for ever."""
        if (registry, ref) not in self.role.rows:
            self.role.put(line, registry, ref, role=role)

    def _answer(self, host: str, origin: Origin) -> dict[str, Any] | None:
        """The request is answered, so its row is gone. Gives the request."""
        request = self._asked.pop((host, origin.message), None)
        gone = None if request is None else self.request.rows.pop((request,), None)
        return None if gone is None else gone[0]
