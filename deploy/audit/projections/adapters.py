"""Tables of adapters: an adapter keeps each delivered credit, and its outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from contracts.messages import deliveries, receipts
from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected, OneOf
from deploy.audit.world import Line, Row, code_of

__all__ = ["adapters"]

_RECEIPTS = (receipts.CreditAccepted, receipts.CreditRefused, receipts.CreditUnknown)


def adapters(book: Book) -> Iterator[Expected]:
    """One table for each registry."""
    said: defaultdict[tuple[str, UUID], list[Line]] = defaultdict(list)
    for line in book.of(*_RECEIPTS):
        said[code_of(line.topic), line.data.transfer_id].append(line)
    for code in book.world.registries:
        if (name := f"adapter_{code}") in book.world.tables:
            yield _credits(book, name, code, said)


def _credits(book: Book, name: str, code: str, said: dict[tuple[str, UUID], list[Line]]) -> Expected:
    # A question about a credit that never came makes a row too.
    asked = {x.data.transfer_id for x in book.of(deliveries.CreditQueried) if code_of(x.topic) == code}
    credit = Expected(name, "credit", ("transfer_id",), spare=lambda row: row["transfer_id"] in asked)
    posted: defaultdict[UUID, list[Line]] = defaultdict(list)
    for line in book.of(deliveries.CreditPosted):
        if code_of(line.topic) == code and not book.stands_aside(line, name):
            posted[line.data.transfer_id].append(line)
    for transfer, lines in posted.items():
        bodies = OneOf(dict.fromkeys(line.data for line in lines))
        ref = lines[0].data.volunteer_ref
        last, columns = _outcome(said.get((code, transfer), ()), lines[-1])
        credit.put(last, transfer, volunteer_ref=ref, body=bodies, **columns)
    return credit


def _outcome(said: Any, sent: Line) -> tuple[Line, Row]:
    """The row says what the receipt says. An accepted credit stays accepted, and a refusal for good stays a refusal.

    If the adapter could not say, somebody may know it later, and say so in the registry's name.
    """
    if any(isinstance(line.data, receipts.CreditUnknown) for line in said):
        return sent, {}
    for line in said:
        if isinstance(line.data, receipts.CreditAccepted):
            return line, {"state": "accepted", "posted_delta": line.data.delta, "posted_at": line.data.posted_at}
    for line in said:
        if isinstance(line.data, receipts.CreditRefused) and not line.data.retry and line.data.reason != "conflict":
            return line, {"state": "refused", "reason": line.data.reason, "retry": False}
    return sent, {}
