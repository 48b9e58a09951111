"""I7, deliveries: each decision is told to each registry that it concerns, by one message, word for word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from contracts.messages import attendance, deliveries, identity, opportunities, refusals
from contracts.messages import bridge as ledger
from deploy.audit.book import Book
from deploy.audit.due import Due
from deploy.audit.told_links import consents, links, renewals
from deploy.audit.told_rest import refused, reports, services, signups
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line, code_of

__all__ = ["told"]

Group: TypeAlias = tuple[str, str | None]
"""topic, id of the cause"""

_TOLD = (
    deliveries.LinkChanged,
    deliveries.ConsentChanged,
    deliveries.SignupChanged,
    deliveries.ServiceDecided,
    deliveries.CreditReported,
)
_REFUSED = (identity.CommandRefused, opportunities.CommandRefused, attendance.CommandRefused)


def told(book: Book) -> Iterator[Violation]:
    """Compare each delivery with the decision that it tells, and each decision with its deliveries."""
    due: defaultdict[Group, list[Due]] = defaultdict(list)
    for one in _due(book):
        due[one.topic, one.cause].append(one)
    given: defaultdict[Group, list[Line]] = defaultdict(list)
    for line in _given(book):
        assert line.event is not None
        given[line.topic, line.event.causation].append(line)
    for group in dict.fromkeys((*due, *given)):
        yield from _compare(book, due.get(group, []), given.get(group, []))
    yield from _credits(book)


def _due(book: Book) -> Iterator[Due]:
    for of_a_kind in (links, renewals, consents, signups, services, reports, refused):
        yield from of_a_kind(book)


def _given(book: Book) -> Iterator[Line]:
    """The deliveries, and the refusals of inner services. The border's own refusals are compared elsewhere with the
    refused message."""
    yield from book.of(*_TOLD)
    within = {line.id for line in book.of(*_REFUSED)}
    for line in book.of(refusals.MessageRefused):
        assert line.event is not None
        if line.event.causation in within:
            yield line


def _compare(book: Book, due: list[Due], given: list[Line]) -> Iterator[Violation]:
    missing, surplus = list(due), []
    for line in given:
        fits = next((one for one in missing if one.fits(line.data)), None)
        if fits is None:
            surplus.append(line)
        else:
            missing.remove(fits)
    for one in missing:
        if one.optional:
            continue
        other = next((line for line in surplus if type(line.data) is type(one.said)), None)
        if other is None:
            what = f"no {type(one.said).__name__} tells {code_of(one.topic)} of this {type(one.line.data).__name__}"
            yield at(book, "I7", one.line, what)
        else:
            surplus.remove(other)
            yield at(book, "I7", other, one.differing(other.data))
    for line in surplus:
        again = any(one.fits(line.data) for one in due)
        told = f"this {type(line.data).__name__} tells {code_of(line.topic)}"
        yield at(book, "I7", line, f"{told} {'the same decision again' if again else 'a decision that nobody made'}")


def _credits(book: Book) -> Iterator[Violation]:
    """A transfer that was sent has its CreditPosted, from the same decision. The content of CreditPosted is I9's."""
    sent = _sent(book.of(deliveries.CreditPosted))
    for line in book.of(ledger.TransferChanged):
        assert line.event is not None
        if line.data.state == "sent" and (line.data.home, line.data.transfer_id, line.event.causation) not in sent:
            what = f"transfer {line.data.transfer_id} is reported as sent, but {line.data.home} got no CreditPosted"
            yield at(book, "I7", line, what)


def _sent(credits: Iterable[Line]) -> set[tuple[str, object, str | None]]:
    found = set()
    for line in credits:
        assert line.event is not None
        found.add((code_of(line.topic), line.data.transfer_id, line.event.causation))
    return found
