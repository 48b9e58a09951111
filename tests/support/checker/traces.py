"""I9 nothing from nowhere: each posted minute, each decision and each command goes back to a registry's own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from contracts.ids import signup_id, transfer_id
from contracts.messages import attendance, deliveries, opportunities
from contracts.messages.service import ServiceAttested, ServiceRecord
from tests.support.checker.book import Book
from tests.support.checker.violations import Violation, at
from tests.support.checker.world import Line, code_of

__all__ = ["nothing_from_nowhere"]

_SIGNUPS = (opportunities.RequestSignup, opportunities.WithdrawSignup, opportunities.ReportSignup)
_PRESENCE = (attendance.RecordCheckIn, attendance.RecordCheckOut)
_COMMANDS = ("identity.commands.v1", "opportunities.commands.v1", "attendance.commands.v1")


def nothing_from_nowhere(book: Book) -> Iterator[Violation]:
    """I9: posting ← credit ← confirmed version ← attested version, all of the same person and minutes."""
    yield from _postings(book)
    yield from _credits(book)
    for record in book.records.values():
        for line in record.facts:
            yield from _fact(book, line)
    for topic in _COMMANDS:
        for line in book.published(topic):
            yield from _command(book, line)


def _postings(book: Book) -> Iterator[Violation]:
    sent = {(code_of(x.topic), x.data.transfer_id, x.data.volunteer_ref) for x in book.of(deliveries.CreditPosted)}
    for transfer, rows in book.postings.items():
        for home, row in rows:
            if (home, transfer, row["volunteer_ref"]) not in sent:
                what = f"{home} posted {row['minutes']} minutes to {row['volunteer_ref']} under {transfer}, never sent"
                yield Violation("I9", what, record=book.version_of.get(transfer, (None, None))[1])


def _credits(book: Book) -> Iterator[Violation]:
    for line in book.of(deliveries.CreditPosted):
        credit = line.data
        key = (credit.host, credit.record.record_ref, credit.record.version)
        person = book.person_of.get((code_of(line.topic), credit.volunteer_ref))
        if credit.transfer_id != transfer_id(*key):
            yield at("I9", line, "its id is not the one of this version of this record")
        elif (said := _source(book, key, credit.record)) is None:
            yield at("I9", line, f"{credit.host} never attested this version in these words")
        elif person is None or book.person_of.get((credit.host, said.volunteer_ref)) != person:
            yield at("I9", line, f"{credit.host} attested it of another person than {credit.volunteer_ref}")
        elif credit.total != _worth(credit.record):
            yield at("I9", line, f"a total of {credit.total}, the record is worth {_worth(credit.record)}")


def _fact(book: Book, line: Line) -> Iterator[Violation]:
    fact = line.data
    said = _source(book, (fact.host, fact.record.record_ref, fact.record.version), fact.record)
    if said is None:
        yield at("I9", line, f"{fact.host} never attested version {fact.record.version} in these words")
    elif book.person_of.get((fact.host, said.volunteer_ref)) != fact.person:
        yield at("I9", line, f"{fact.host} attested it of {said.volunteer_ref}, who is another person")


def _source(book: Book, key: tuple[str, str, int], record: ServiceRecord) -> ServiceAttested | None:
    """What the host published of this version, if it says the same."""
    for line in book.attested.get(key, ()):
        if _same(line.data, record):
            found: ServiceAttested = line.data
            return found
    return None


def _same(said: ServiceAttested, record: ServiceRecord) -> bool:
    return all(getattr(said, name) == getattr(record, name) for name in ServiceRecord.model_fields)


def _worth(record: ServiceRecord) -> int:
    return 0 if record.revoked else record.minutes


def _command(book: Book, line: Line) -> Iterator[Violation]:
    """A command names a message that its registry published, and says the same of the same person."""
    command = line.data
    said = book.first.get(book.origin(command))
    if said is None or said.topic not in book.topics.inbound:
        yield at("I9", line, f"no message {command.origin.message_id} of {command.origin.registry} was published")
        return
    person: UUID | None = getattr(command, "person", None)
    if person is not None:
        owner = book.person_of.get((command.origin.registry, said.data.volunteer_ref))
        if owner != person:
            yield at("I9", line, f"the registry spoke of {said.data.volunteer_ref}, who is another person")
        elif isinstance(command, (*_SIGNUPS, *_PRESENCE)) and command.signup_id != _signup_id(command):
            yield at("I9", line, "its sign-up id is not the one of this person and shift")
    words = {"project": "project", "shift": "shift", "record": "record"}
    part = next((getattr(command, name) for name in words if hasattr(command, name)), None)
    if part is not None and not _says(said.data, part):
        yield at("I9", line, "it does not say what the registry said")


def _signup_id(command: Any) -> UUID:
    return signup_id(command.person, command.host, command.project_ref, command.shift_ref)


def _says(said: Any, part: Any) -> bool:
    return all(getattr(said, name) == getattr(part, name) for name in type(part).model_fields)
