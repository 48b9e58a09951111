"""What the services' tables must hold, worked out from the logs alone: expected rows by database and table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from contracts.messages import attendance, deliveries, identity, opportunities
from contracts.messages.service import shanghai_day
from tests.support.checker.book import Book
from tests.support.checker.world import Line, Row, code_of

__all__ = ["Expected", "expectations"]

Key: TypeAlias = tuple[Any, ...]
_SIGNUP: Final[dict[type[Any], str]] = {
    opportunities.SignupConfirmed: "confirmed",
    opportunities.SignupPromoted: "promoted",
    opportunities.SignupWaitlisted: "waitlisted",
    opportunities.SignupNoted: "noted",
    opportunities.SignupRefused: "refused",
    opportunities.SignupWithdrawn: "withdrawn",
}
_STORED: Final = {"promoted": "confirmed", "noted": "reported"}
_RECORD: Final[dict[type[Any], str]] = {
    attendance.ServiceConfirmed: "confirmed",
    attendance.ServiceHeld: "held",
    attendance.ServiceRevoked: "revoked",
}


@dataclass(slots=True)
class Expected:
    """Rows of one table by key, each with the columns that the logs tell and the message that made it so last."""

    database: str
    table: str
    key: tuple[str, ...]
    rows: dict[Key, tuple[Row, Line]] = field(default_factory=dict)
    complete: bool = True
    """Whether a row that the logs do not tell is one too many."""

    def put(self, line: Line, *key: Any, **columns: Any) -> None:
        """This row stands so now."""
        known = self.rows.get(key)
        self.rows[key] = ({**(known[0] if known else {}), **columns}, line)


def expectations(book: Book) -> Iterator[Expected]:
    """Every table that follows from the logs."""
    builders: tuple[Callable[[Book], Iterator[Expected]], ...] = (_identity, _opportunities, _attendance, _border, _way)
    for build in builders:
        yield from build(book)
    yield from _adapters(book)


def _identity(book: Book) -> Iterator[Expected]:
    account = Expected("identity", "account", ("home", "home_ref"))
    link = Expected("identity", "link", ("person", "host"))
    request = Expected("identity", "request", ("request_id",))
    for line in book.published("identity.commands.v1"):
        if not book.stands_aside(line):
            account.put(line, line.data.home, line.data.home_ref)
            if isinstance(line.data, identity.RequestLink):
                request.put(line, line.id, host=line.data.host, host_ref=line.data.host_ref)
    refused = {(x.data.host, x.data.origin.message_id): x for x in book.of(identity.LinkRefused)}
    for line in book.of(identity.RequestLink):
        if no := refused.get((line.data.host, line.data.origin.message_id)):
            request.put(no, line.id, outcome=no.data.reason)
    for line in book.published("identity.events.v1"):
        fact = line.data
        account.put(line, fact.home, fact.home_ref, person=fact.person)
        if isinstance(fact, identity.LinkEstablished | identity.LinkBroken | identity.LinkRestored):
            link.put(line, fact.person, fact.host, host_ref=fact.host_ref, version=fact.link_version)
    yield from (account, link, request)


def _opportunities(book: Book) -> Iterator[Expected]:
    project = Expected("opportunities", "project", ("host", "project_ref"))
    shift = Expected("opportunities", "shift", ("host", "project_ref", "shift_ref"))
    refused = {book.origin(line.data) for line in book.of(opportunities.CommandRefused)}
    for line in book.of(opportunities.PublishProject, opportunities.PublishShift):
        command = line.data
        if book.origin(command) in refused or book.stands_aside(line):
            continue
        is_shift = isinstance(command, opportunities.PublishShift)
        said: Any = command.shift if is_shift else command.project
        table = shift if is_shift else project
        key = (command.host, command.project_ref, *((said.shift_ref,) if is_shift else ()))
        known = table.rows.get(key)
        if known is None or known[0]["version"] < said.version:
            more = {"posts": said.posts} if is_shift else {"title": said.title}
            table.put(line, *key, version=said.version, state=said.state, **more)
    yield project
    yield from _signups(book, shift)


def _signups(book: Book, shift: Expected) -> Iterator[Expected]:
    """The service's own sign-ups with the counts of each shift, and attendance's copy of them."""
    signup = Expected("opportunities", "signup", ("signup_id",))
    copy = Expected("attendance", "signup", ("id",))
    for line in book.published("opportunities.events.v1"):
        fact = line.data
        state = _SIGNUP.get(type(fact))
        if state is None:
            continue
        stored = copy.rows.get((fact.signup_id,))
        if state != "refused" or stored is None or stored[0]["state"] == "withdrawn":
            copy.put(line, fact.signup_id, state=state)
        if state != "refused":
            names = {"person": fact.person, "shift_ref": fact.shift_ref}
            signup.put(line, fact.signup_id, state=_STORED.get(state, state), **names)
    counts: defaultdict[Key, dict[str, int]] = defaultdict(lambda: {"confirmed": 0, "waitlisted": 0})
    for row, line in signup.rows.values():
        if row["state"] in ("confirmed", "waitlisted"):
            counts[line.data.host, line.data.project_ref, line.data.shift_ref][row["state"]] += 1
    for key, (_, line) in list(shift.rows.items()):
        shift.put(line, *key, **counts[key])
    yield from (shift, signup, copy)


def _attendance(book: Book) -> Iterator[Expected]:
    record = Expected("attendance", "service_record", ("host", "record_ref"))
    days = Expected("attendance", "person_day", ("person", "day"), complete=False)
    minutes: defaultdict[Key, int] = defaultdict(int)
    for key, known in book.records.items():
        settled = known.settled
        counts = settled is not None and isinstance(settled.data, attendance.ServiceConfirmed)
        last = known.last.data
        record.put(
            known.last,
            *key,
            person=known.person,
            version=last.record.version,
            held_for=last.reason if isinstance(last, attendance.ServiceHeld) else None,
            counted_version=settled.data.record.version if settled is not None and counts else None,
            counted_minutes=settled.data.minutes if settled is not None and counts else None,
        )
        if settled is not None and counts:
            day = (known.person, settled.data.record.day)
            minutes[day] += settled.data.minutes
            days.put(settled, *day, minutes=minutes[day])
    presence = Expected("attendance", "presence", ("signup_id", "came_at"))
    for line in book.of(attendance.RecordCheckIn):
        if not book.stands_aside(line) and not book.effects(line, attendance.CommandRefused):
            presence.put(line, line.data.signup_id, line.data.at, day=shanghai_day(line.data.at))
    yield from (record, days, presence)


def _border(book: Book) -> Iterator[Expected]:
    """What the bridge knows of people: accounts, links, consent."""
    account = Expected("bridge", "account", ("registry", "ref"))
    link = Expected("bridge", "link", ("person", "host"))
    consent = Expected("bridge", "consent", ("home", "home_ref", "host"))
    for line in book.of(identity.RequestLink):
        account.put(line, line.data.host, line.data.host_ref)
    for line in book.published("identity.events.v1"):
        fact = line.data
        if isinstance(fact, identity.LinkEstablished):
            account.put(line, fact.host, fact.host_ref, person=fact.person)
            account.put(line, fact.home, fact.home_ref, person=fact.person)
        if isinstance(fact, identity.LinkEstablished | identity.LinkBroken | identity.LinkRestored):
            state = "broken" if isinstance(fact, identity.LinkBroken) else "active"
            names = {"host_ref": fact.host_ref, "home": fact.home, "home_ref": fact.home_ref}
            link.put(line, fact.person, fact.host, link_version=fact.link_version, state=state, **names)
    for line in book.of(identity.OfferLink, identity.RecordConsent):
        command = line.data
        offered = isinstance(command, identity.OfferLink)
        version, state = (command.consent.version, "given") if offered else (command.version, command.state)
        key = (command.home, command.home_ref, command.host)
        known = consent.rows.get(key)
        rank = (version, state == "withdrawn")
        if known is None or rank > (known[0]["version"], known[0]["state"] == "withdrawn"):
            consent.put(line, *key, version=version, state=state)
    yield from (account, link, consent)


def _way(book: Book) -> Iterator[Expected]:
    """The bridge's ledger of transfers, and what it thinks of each record."""
    transfer = Expected("bridge", "transfer", ("id",))
    posted: defaultdict[Key, int] = defaultdict(int)
    for transfer_id, changes in book.transfers.items():
        last = changes[-1].data
        columns = {"state": last.state, "version": last.version, "total": last.total, "reason": last.reason}
        if last.state in ("sent", "credited"):
            columns["delta"] = last.delta  # before it is sent it may change unsaid
        transfer.put(changes[-1], transfer_id, person=last.person, **columns)
        if last.state == "credited":
            posted[last.host, last.record_ref] += last.delta
    record = Expected("bridge", "service_record", ("host", "record_ref"))
    for key, known in book.records.items():
        settled, latest = known.settled, book.latest.get(key)
        record.put(
            known.last,
            *key,
            person=known.person,
            state=_RECORD[type(known.last.data)],
            settled_version=0 if settled is None else settled.data.record.version,
            total=known.total,
            posted=posted[key],
            transfer_id=None if latest is None else latest.data.transfer_id,
        )
    yield from (transfer, record)


def _adapters(book: Book) -> Iterator[Expected]:
    """A registry without Kafka: its adapter keeps every credit that was delivered."""
    for code in book.world.registries:
        if (name := f"adapter_{code}") in book.world.tables:
            credit = Expected(name, "credit", ("transfer_id",), complete=False)
            for line in book.of(deliveries.CreditPosted):
                if code_of(line.topic) == code and not book.stands_aside(line):
                    credit.put(line, line.data.transfer_id, volunteer_ref=line.data.volunteer_ref)
            yield credit
