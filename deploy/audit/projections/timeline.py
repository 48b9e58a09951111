"""The bridge's append-only tables: the steps of each person, and the refusals that were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from contracts.messages import attendance, identity, opportunities, refusals
from contracts.messages import bridge as ledger
from deploy.audit.book import Book
from deploy.audit.projections.expected import AtLeast, Expected
from deploy.audit.sharing import Sharing
from deploy.audit.told_rest import SERVICE_STATES, SIGNUP_STATES
from deploy.audit.world import Line, code_of

__all__ = ["timeline"]

_ASKED: Final[dict[type[Any], str]] = {
    opportunities.RequestSignup: "signup_requested",
    opportunities.WithdrawSignup: "signup_given_back",
    opportunities.ReportSignup: "signup_reported",
}
_SEEN: Final[dict[type[Any], str]] = {
    attendance.RecordCheckIn: "checked_in",
    attendance.RecordCheckOut: "checked_out",
}
_OF_LINKS: Final[dict[type[Any], str]] = {
    identity.LinkEstablished: "link_established",
    identity.LinkBroken: "link_broken",
    identity.LinkRestored: "link_restored",
}
_TRANSFERS: Final = ("queued", "withheld", "sent", "uncertain", "credited", "refused", "superseded")
_KNOWN: Final = {
    *_ASKED.values(),
    *_SEEN.values(),
    *_OF_LINKS.values(),
    "service_attested",
    "consent_given",
    "consent_withdrawn",
    *(f"signup_{state}" for state in SIGNUP_STATES.values()),
    *(f"service_{state}" for state in SERVICE_STATES.values()),
    *(f"transfer_{state}" for state in _TRANSFERS),
}


class _Step(NamedTuple):
    line: Line
    person: UUID
    what: str
    host: str
    subject: str
    detail: dict[str, Any]
    happened_at: datetime | None
    """None where the message that led to it is not known for sure."""
    at: datetime | None = None


def timeline(book: Book) -> Iterator[Expected]:
    """Both tables. Steps of a kind that is not known here are left alone."""
    yield _told(book, "happened_at", (_commands, _links, _consent, _signups, _services))
    yield _told(book, "at", (_transfers,))
    refusal = Expected("bridge", "refusal", ("registry", "reason", "message_type"), numbered=True)
    for line in book.of(refusals.MessageRefused):
        assert line.event is not None
        if line.event.causation is not None:  # messages that nobody could read are counted in the quarantine
            refusal.append(line, code_of(line.topic), line.data.reason, line.data.message_type)
    yield refusal


def _told(book: Book, time: str, kinds: Iterable[Callable[[Book], Iterator[_Step]]]) -> Expected:
    """Steps are distinguished by their known time: for a transfer the moment at which the border changed it, for all
    others the time at which they happened."""
    of_transfers = time == "at"
    step = Expected(
        "bridge",
        "step",
        ("person", "what", "host", "subject", time),
        numbered=True,
        of=lambda row: row["what"].startswith("transfer_") is of_transfers,
        spare=lambda row: row["what"] not in _KNOWN,
    )
    for of_a_kind in kinds:
        for one in of_a_kind(book):
            more = {} if one.happened_at is None else {"happened_at": one.happened_at}
            moment = one.at if of_transfers else one.happened_at
            step.append(
                one.line, one.person, one.what, one.host, one.subject, moment, detail=AtLeast(one.detail), **more
            )
    return step


def _time(line: Line) -> datetime:
    assert line.event is not None
    return line.event.time


def _commands(book: Book) -> Iterator[_Step]:
    """A registry's messages that the border passed on."""
    for line in book.of(*_ASKED):
        said = line.data
        detail = {"project_ref": said.project_ref, "shift_ref": said.shift_ref, "asker": said.asker}
        yield _Step(line, said.person, _ASKED[type(said)], said.host, str(said.signup_id), detail, _time(line))
    for line in book.of(*_SEEN):
        said, heard = line.data, book.first.get(book.origin(line.data))
        detail = {} if heard is None else {"seen_at": heard.data.at.isoformat()}
        yield _Step(line, said.person, _SEEN[type(said)], said.host, str(said.signup_id), detail, _time(line))
    for line in book.of(attendance.AttestService):
        said, record = line.data, line.data.record
        detail = {"version": record.version, "minutes": record.minutes}
        yield _Step(line, said.person, "service_attested", said.host, record.record_ref, detail, _time(line))
    for line in book.of(attendance.ReviewService):
        said = line.data
        detail = {"version": said.version, "tier": said.tier, "outcome": said.outcome, "reason": said.reason}
        yield _Step(line, said.person, "service_reviewed", said.host, said.record_ref, detail, _time(line))


def _links(book: Book) -> Iterator[_Step]:
    for line in book.published("identity.events.v1"):
        fact, what = line.data, _OF_LINKS.get(type(line.data))
        if what is not None and not book.stands_aside(line, "bridge"):
            detail = {"home": fact.home, "reason": getattr(fact, "reason", None)}
            yield _Step(line, fact.person, what, fact.host, "", detail, _time(line))


def _consent(book: Book) -> Iterator[_Step]:
    """A newer word on consent, once there is a link."""
    sharing = Sharing.of(book)
    for (person, host), link in book.links.items():
        for word in sharing.words.get((link.home, link.home_ref, host), ()):
            if sharing.link_state(person, host, word.heard)[0] is not None:
                what = "consent_withdrawn" if word.withdrawn else "consent_given"
                yield _Step(word.line, person, what, host, "", {"version": word.version}, _time(word.line))


def _signups(book: Book) -> Iterator[_Step]:
    for line in book.of(*SIGNUP_STATES):
        fact, what = line.data, f"signup_{SIGNUP_STATES[type(line.data)]}"
        if not book.stands_aside(line, "bridge"):
            names = ("project_ref", "shift_ref", "asker")
            detail = {name: getattr(fact, name) for name in names} | {"reason": getattr(fact, "reason", None)}
            yield _Step(line, fact.person, what, fact.host, str(fact.signup_id), detail, _time(line))


def _services(book: Book) -> Iterator[_Step]:
    """Decisions on a record, until this version or a higher version is confirmed or revoked."""
    for record in book.records.values():
        settled = 0
        for line in record.facts:
            fact, version = line.data, line.data.record.version
            if book.stands_aside(line, "bridge") or version <= settled:
                continue
            if not isinstance(fact, attendance.ServiceHeld):
                settled = version
            what = f"service_{SERVICE_STATES[type(fact)]}"
            detail = {"version": version, "minutes": fact.minutes, "reason": getattr(fact, "reason", None)}
            yield _Step(line, fact.person, what, fact.host, record.ref, detail, _time(line))


def _transfers(book: Book) -> Iterator[_Step]:
    for line in book.of(ledger.TransferChanged):
        change = line.data
        detail = {name: getattr(change, name) for name in ("version", "total", "delta", "reason")}
        assert line.event is not None
        cause = book.by_id.get(line.event.causation or "")
        times = (None if cause is None else _time(cause), _time(line))
        yield _Step(line, change.person, f"transfer_{change.state}", change.host, change.record_ref, detail, *times)
