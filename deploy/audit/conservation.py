"""Minutes: I1 none is lost or made on the way home, I2 none is posted twice, I17 none is absurd."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from contracts.messages import attendance
from deploy.audit.book import Book, Record
from deploy.audit.rights import held_with_a_right
from deploy.audit.violations import Violation, at, of_row

__all__ = ["at_most_once", "conservation", "directions", "sanity"]

_STANDS = {"withheld": "withheld", "refused": "refused", "uncertain": "uncertain"}
_IN_FLIGHT = ("queued", "sent")


def _state(book: Book, record: Record) -> str | None:
    latest = book.latest.get((record.host, record.ref))
    return None if latest is None else latest.data.state


def _credited(book: Book, record: Record) -> int:
    return sum(book.posted.get((record.host, record.ref), {}).values())


def _bucket(state: str | None) -> str | None:
    return "in_flight" if state in _IN_FLIGHT else _STANDS.get(state or "")


def directions(book: Book) -> dict[str, dict[str, int]]:
    """Minutes by direction (host->home), as seen from outside."""
    found: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(
            ("service_records", "confirmed", "credited", "withheld", "refused", "uncertain", "in_flight", "held"), 0
        )
    )
    for record in book.records.values():
        home, _ = book.home_of.get(record.person, (record.host, ""))
        if home == record.host:
            continue
        sums = found[f"{record.host}->{home}"]
        credited = _credited(book, record)
        sums["service_records"] += 1
        sums["confirmed"] += record.total
        sums["credited"] += credited
        if bucket := _bucket(_state(book, record)):
            sums[bucket] += record.total - credited
        if isinstance(record.last.data, attendance.ServiceHeld) and record.total == 0:
            sums["held"] += record.last.data.minutes
    return dict(sorted(found.items()))


def conservation(book: Book) -> Iterator[Violation]:
    """I1: confirmed = credited + withheld + refused + uncertain + in flight, record by record, in both ledgers."""
    for record in book.records.values():
        home, _ = book.home_of.get(record.person, (record.host, ""))
        if record.host not in book.unseen:
            yield from _host_agrees(book, record, home)
        yield from _home_agrees(book, record, home)
    for (host, ref), row in book.served.items():
        if row["status"] == "confirmed" and (host, ref) not in book.records:
            what = f"{host} counts {row['minutes']} minutes that were never confirmed"
            yield of_row(book, "I1", what, row, registry=host, about=f"{host}/{ref} never confirmed")


def _host_agrees(book: Book, record: Record, home: str) -> Iterator[Violation]:
    """The host's own row: the confirmed minutes, or the decision about the newest version."""
    row = book.served.get((record.host, record.ref))
    settled, last = record.settled, record.last
    if row is None:
        yield at(book, "I1", last, f"{record.host} attested this record, but its books have no row of it")
    elif settled is not None and isinstance(settled.data, attendance.ServiceConfirmed):
        said = (row["status"], row["version"], row["minutes"])
        if said != ("confirmed", settled.data.record.version, record.total):
            wanted = f"version {settled.data.record.version} is confirmed with {record.total} minutes"
            what = f"{wanted}, but {record.host} has version {said[1]} as {said[0]} with {said[2]} minutes"
            yield at(book, "I1", settled, what, about=f"{record.host}/{record.ref} is not whole at its host")
    elif row["version"] == last.data.record.version:
        word = "held" if isinstance(last.data, attendance.ServiceHeld) else "revoked"
        if row["status"] != word:
            yield at(book, "I1", last, f"the record is {word}, but {record.host} has it as {row['status']}")
    if row is not None and row["home"] != (None if home == record.host else home):
        yield at(
            book, "I1", last, f"the home of this person is {home}, but {record.host} has {row['home']} as her home"
        )


def _home_agrees(book: Book, record: Record, home: str) -> Iterator[Violation]:
    credited, state = _credited(book, record), _state(book, record)
    confirmed = 0 if home == record.host else record.total
    bucket = _bucket(state)
    line = record.settled or record.last
    if home == record.host and state is not None:
        yield at(book, "I1", line, "the service was at home, but its record has a transfer")
    elif bucket == "in_flight" and book.drained:
        what = f"{confirmed - credited} minutes of this record are still {state}"
        yield at(book, "I1", book.latest[record.host, record.ref], what, about=f"{record.host}/{record.ref} in flight")
    elif bucket == "withheld" and confirmed < credited:
        what = f"{credited - confirmed} minutes are to be taken back at {home}, but the transfer waits for consent"
        yield at(book, "I1", line, what, about=f"{record.host}/{record.ref} is not taken back")
    elif bucket is None and confirmed != credited:
        sums = f"{confirmed} minutes are confirmed and {credited} minutes are credited"
        what = f"{sums}, and no transfer explains the difference (state of the last transfer: {state})"
        yield at(book, "I1", line, what, about=f"{record.host}/{record.ref} is not whole at home")


def at_most_once(book: Book) -> Iterator[Violation]:
    """I2: a transfer has one posting. All postings of a record are together at most the minutes of its newest posted
    version."""
    for transfer, rows in book.postings.items():
        if len(rows) > 1:
            homes = ", ".join(sorted({home for home, _ in rows}))
            what = f"transfer {transfer} has {len(rows)} postings in the ledger of {homes}"
            home, row = rows[0]
            yield of_row(book, "I2", what, row, registry=home, about=f"transfer {transfer} stands more than once")
    for (host, ref), by_version in book.posted.items():
        newest = max(by_version)
        line = book.attested[host, ref, newest][0]
        worth = 0 if line.data.revoked else line.data.minutes
        if sum(by_version.values()) > worth:
            what = f"{sum(by_version.values())} minutes are posted, but version {newest} is worth {worth} minutes"
            yield at(book, "I2", line, what, about=f"{host}/{ref} is posted above its worth")


_APPROVED: Final[Mapping[str | None, int]] = {"parent": 720, "province": 1440}
"""The minutes of a day that each tier may approve."""


def sanity(book: Book) -> Iterator[Violation]:
    """I17: a confirmed version has 1 to 1440 minutes, which follow from its times. A person's day stays within the
    cap. Nothing is held for want of a right that was there."""
    yield from held_with_a_right(book)
    days: defaultdict[tuple[UUID, date], int] = defaultdict(int)
    counted: dict[tuple[str, str], Any] = {}
    for line in book.facts:
        fact = line.data
        if isinstance(fact, attendance.ServiceHeld):
            continue
        key = (fact.host, fact.record.record_ref)
        before = counted.pop(key, None)
        if before is not None:
            days[before.person, before.record.day] -= before.minutes
        if isinstance(fact, attendance.ServiceRevoked):
            if fact.minutes != 0:
                yield at(book, "I17", line, f"this revoked record is worth {fact.minutes} minutes, not 0")
            continue
        if not 1 <= fact.minutes <= 1440 or fact.minutes != fact.record.minutes:
            times = f"the times of the record give {fact.record.minutes} minutes"
            yield at(book, "I17", line, f"{fact.minutes} minutes are confirmed, but {times}")
        counted[key] = fact
        days[fact.person, fact.record.day] += fact.minutes
        total = days[fact.person, fact.record.day]
        grew = before is None or before.record.day != fact.record.day or before.minutes < fact.minutes
        cap = max(book.day_cap, _APPROVED.get(fact.approved_by, 0))
        if total > cap and grew:
            counted_ = f"{total} minutes of this person are confirmed on {fact.record.day}"
            yield at(book, "I17", line, f"{counted_}, but the cap of a day is {cap} minutes")
    for home, rows in book.world.credits.items():
        for row in rows:
            if abs(row["minutes"]) > 1440:
                yield of_row(book, "I17", f"{home} posted {row['minutes']} minutes in one posting", row, registry=home)
