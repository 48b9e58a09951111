"""The bridge's tables of transfers and of service records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from contracts.messages import attendance, deliveries
from contracts.messages.service import ServiceRecord
from deploy.audit.book import Book, Record
from deploy.audit.projections.expected import Expected, Key, OneOf
from deploy.audit.told_rest import SERVICE_STATES
from deploy.audit.world import Line, Row

__all__ = ["transfers"]

_ENDED: Final = ("credited", "refused", "superseded")


def transfers(book: Book) -> Iterator[Expected]:
    """Both tables."""
    transfer = Expected("bridge", "transfer", ("id",))
    attempts: defaultdict[UUID, int] = defaultdict(int)
    for line in book.of(deliveries.CreditPosted, deliveries.CreditQueried):
        attempts[line.data.transfer_id] += 1
    posted: defaultdict[Key, int] = defaultdict(int)
    for transfer_id, changes in book.transfers.items():
        last = changes[-1]
        columns = _transfer(book, last, book.settled_records.get(transfer_id), attempts[transfer_id])
        transfer.put(last, transfer_id, **columns)
        if last.data.state == "credited":
            posted[last.data.host, last.data.record_ref] += last.data.delta
    record_ = Expected("bridge", "service_record", ("host", "record_ref"))
    for key, known in book.records.items():
        facts = [line for line in known.facts if not book.stands_aside(line, "bridge")]
        if facts:
            latest = book.latest.get(key)
            columns = _record(book, Record(*key, facts))
            transfer_of = None if latest is None else latest.data.transfer_id
            record_.put(facts[-1], *key, **columns, posted=posted[key], transfer_id=transfer_of)
    yield from (transfer, record_)


def _transfer(book: Book, last: Line, record: ServiceRecord | None, attempts: int) -> Row:
    change = last.data
    assert last.event is not None
    names = ("host", "record_ref", "person", "home", "version", "total", "state", "reason")
    columns = {name: getattr(change, name) for name in names}
    columns |= {"attempts": attempts, "changed_at": last.event.time}
    columns["home_ref"] = book.home_of.get(change.person, (None, None))[1]
    if record is not None:
        columns["record"] = record
    if change.state in ("sent", "credited", "refused"):
        columns["delta"] = change.delta  # before the transfer is sent its delta may change without a word
    if change.state in ("withheld", *_ENDED):
        columns["queried"] = False
    if change.state in _ENDED or attempts == 0:
        columns["unanswered"] = OneOf(([], 0))
    return columns


def _record(book: Book, known: Record) -> Row:
    settled, last = known.settled, known.last.data
    return {
        "person": known.person,
        "home": book.home_of.get(known.person, (None, None))[0],
        "record": last.record,
        "state": SERVICE_STATES[type(last)],
        "reason": last.reason if isinstance(last, attendance.ServiceHeld) else None,
        "minutes": last.minutes,
        "settled_version": 0 if settled is None else settled.data.record.version,
        "total": known.total,
    }
