"""Attendance's tables: the copy of sign-ups, presence, service records, and the sums of days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from contracts.messages import attendance as messages
from contracts.messages import opportunities
from contracts.messages.service import shanghai_day
from deploy.audit.book import Book, Record
from deploy.audit.projections.expected import Expected, Key
from deploy.audit.rights import Rights
from deploy.audit.world import Line, Row

__all__ = ["attendance"]

_SIGNUP: Final[dict[type[Any], str]] = {
    opportunities.SignupConfirmed: "confirmed",
    opportunities.SignupPromoted: "promoted",
    opportunities.SignupWaitlisted: "waitlisted",
    opportunities.SignupNoted: "noted",
    opportunities.SignupRefused: "refused",
    opportunities.SignupWithdrawn: "withdrawn",
}
_NOT_REVIEWED: Final[Row] = {"reviewed_version": None, "reviewed_by": None, "approved": None}
_LONGEST_STAY: Final = timedelta(hours=48)
_COUNTED: Final = ("counted_version", "counted_signup", "counted_from", "counted_to", "counted_minutes", "counted_day")


def attendance(book: Book) -> Iterator[Expected]:
    """All of them."""
    yield _signups(book)
    yield _presence(book)
    yield from _records(book)


def _signups(book: Book) -> Expected:
    """A refusal concerns one request: a sign-up that stands already is kept. An end after the begin has its moment."""
    until = Rights.of(book).until
    copy = Expected("attendance", "signup", ("id",))
    for line in book.published("opportunities.events.v1"):
        state = _SIGNUP.get(type(line.data))
        if state is None or book.stands_aside(line, "attendance"):
            continue
        stored = copy.column((line.data.signup_id,), "state")
        if state != "refused" or stored in (None, "withdrawn"):
            columns: Row = {"state": state, "served_until": until.get(line.data.signup_id)}
            if line.data.starts_at is not None:  # a window never moves, so it is kept
                columns |= {"starts_at": line.data.starts_at, "ends_at": line.data.ends_at}
            copy.put(line, line.data.signup_id, **columns)
    return copy


def _presence(book: Book) -> Expected:
    """Each check-in begins a stay. Each check-out ends the latest open stay."""
    presence = Expected("attendance", "presence", ("signup_id", "day", "pair"))
    stays: defaultdict[Any, list[Row]] = defaultdict(list)
    for line in book.published("attendance.commands.v1"):
        if not isinstance(line.data, messages.RecordCheckIn | messages.RecordCheckOut):
            continue
        if book.stands_aside(line, "attendance") or book.effects(line, messages.CommandRefused):
            continue
        of_signup, at = stays[line.data.signup_id], line.data.at
        if isinstance(line.data, messages.RecordCheckOut):
            stay = _ended(of_signup, line.data)
        elif any(stay["came_at"] == at for stay in of_signup):
            stay = None
        else:
            day = shanghai_day(at)
            pair = 1 + sum(stay["day"] == day for stay in of_signup)
            stay = {"day": day, "pair": pair, "came_at": at, "left_at": None, "came_by": line.data.method}
            stay["left_by"] = None
            of_signup.append(stay)
        if stay is not None:
            columns = {name: stay[name] for name in ("came_at", "left_at", "came_by", "left_by")}
            presence.put(line, line.data.signup_id, stay["day"], stay["pair"], **columns)
    return presence


def _ended(stays: list[Row], said: messages.RecordCheckOut) -> Row | None:
    at = said.at
    near = [stay for stay in stays if timedelta(0) <= at - stay["came_at"] <= _LONGEST_STAY]
    if any(stay["left_at"] == at for stay in near):
        return None
    stay = max((stay for stay in near if stay["left_at"] is None), key=lambda stay: stay["came_at"], default=None)
    if stay is not None:
        stay |= {"left_at": at, "left_by": said.method}
    return stay


def _records(book: Book) -> Iterator[Expected]:
    """Each record as it was told last, and the version that counts: the last confirmed version, until it is revoked."""
    record = Expected("attendance", "service_record", ("host", "record_ref"))
    # A day on which nothing counts any more may have a row or none. This depends on how messages fell into batches.
    days = Expected("attendance", "person_day", ("person", "day"), spare=lambda row: row["minutes"] == 0)
    sums: defaultdict[Key, int] = defaultdict(int)
    approved = {
        (line.data.person, line.data.record.day)
        for line in book.of(messages.ServiceConfirmed)
        if line.data.approved_by is not None
    }  # the cap of such a day is the tier's, and falls when minutes of the day do
    reviewed = _reviewed(book)
    for key, known in book.records.items():
        counted = _counted(known)
        record.put(known.last, *key, **_standing(book, known), **counted, **reviewed.get(key, _NOT_REVIEWED))
        if counted["counted_minutes"] is not None:
            day = (known.person, counted["counted_day"])
            sums[day] += counted["counted_minutes"]
            assert known.settled is not None
            days.put(known.settled, *day, minutes=sums[day], **({} if day in approved else {"cap": book.day_cap}))
    yield from (record, days)


def _reviewed(book: Book) -> dict[Key, Row]:
    """What persons decided about a record last. A review that was refused changes nothing."""
    found: dict[Key, Row] = {}
    for line in book.of(messages.ReviewService):
        if book.effects(line, messages.ServiceConfirmed, messages.ServiceHeld):
            said = line.data
            approved = said.outcome == "approved"
            found[said.host, said.record_ref] = {
                "reviewed_version": said.version,
                "reviewed_by": said.tier,
                "approved": approved,
            }
    return found


def _standing(book: Book, known: Record) -> Row:
    last = known.last.data
    columns = {
        "person": known.person,
        "signup_id": last.signup_id,
        "version": last.record.version,
        "held_for": last.reason if isinstance(last, messages.ServiceHeld) else None,
        "body": last.record,
        "day": last.record.day,
    }
    # The moment at which its first known version was attested. Records are decided again in this order.
    first = _attestation(book, known.facts[0])
    attested = {} if first is None else {"attested_at": first[1]}
    return columns | _said(book, known) | attested


def _said(book: Book, known: Record) -> Row:
    """What the command of the latest version said besides: her home, and its time."""
    version = known.last.data.record.version
    for fact in known.facts:
        said = _attestation(book, fact) if fact.data.record.version == version else None
        if said is not None:
            command, time = said
            return {"home": command.home, "said_at": time}
    return {}


def _attestation(book: Book, fact: Line) -> tuple[messages.AttestService, datetime] | None:
    """The command that led to a fact, and its time; None where the record was decided again for another cause."""
    cause = book.cause(fact)
    if cause is None or cause.event is None or not isinstance(cause.data, messages.AttestService):
        return None
    return cause.data, cause.event.time


def _counted(known: Record) -> Row:
    """A revoked record keeps the sign-up under which it counted, since its restoration needs no other sign-up."""
    confirmed = [line.data for line in known.facts if isinstance(line.data, messages.ServiceConfirmed)]
    if not confirmed or known.settled is None:
        return dict.fromkeys(_COUNTED)
    fact = confirmed[-1]
    if isinstance(known.settled.data, messages.ServiceRevoked):
        return dict.fromkeys(_COUNTED) | {"counted_signup": fact.signup_id}
    values = (
        fact.record.version,
        fact.signup_id,
        fact.record.started_at,
        fact.record.ended_at,
        fact.minutes,
        fact.record.day,
    )
    return dict(zip(_COUNTED, values, strict=True))
