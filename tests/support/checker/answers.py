"""I7 answered: what was asked is answered once, and what was decided is told to everyone whom it concerns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from contracts.messages import Message, attendance, deliveries, identity, opportunities, receipts, refusals
from contracts.messages import bridge as ledger
from tests.support.checker.book import Book
from tests.support.checker.violations import Violation, at
from tests.support.checker.world import Line, code_of

__all__ = ["answered"]

_SIGNUP_FACTS: Final = (
    opportunities.SignupConfirmed,
    opportunities.SignupWaitlisted,
    opportunities.SignupPromoted,
    opportunities.SignupRefused,
    opportunities.SignupWithdrawn,
    opportunities.SignupNoted,
)
_ANSWERS: Final[dict[type[Message], tuple[type[Message], ...]]] = {
    opportunities.RequestSignup: (
        opportunities.SignupConfirmed,
        opportunities.SignupWaitlisted,
        opportunities.SignupRefused,
    ),
    opportunities.WithdrawSignup: (opportunities.SignupWithdrawn, opportunities.CommandRefused),
    opportunities.ReportSignup: (
        opportunities.SignupNoted,
        opportunities.SignupConfirmed,
        opportunities.SignupWaitlisted,
        opportunities.SignupRefused,
        opportunities.SignupWithdrawn,
        opportunities.CommandRefused,
    ),
}
"""Exactly one of these names the command as its cause."""
_REFUSED: Final = (identity.CommandRefused, opportunities.CommandRefused, attendance.CommandRefused)
_SERVICE_FACTS: Final = (attendance.ServiceConfirmed, attendance.ServiceHeld, attendance.ServiceRevoked)
_REPORTED: Final = ("credited", "refused", "withheld", "uncertain")
_RECEIPTS: Final = (receipts.CreditAccepted, receipts.CreditRefused, receipts.CreditUnknown)


def answered(book: Book) -> Iterator[Violation]:
    """I7: all of it. What a service has set aside is not answered yet."""
    yield from _admission(book)
    yield from _commands(book)
    yield from _requests_to_link(book)
    yield from _attestations(book)
    yield from _told(book)
    yield from _credits(book)


def _admission(book: Book) -> Iterator[Violation]:
    """Each message of a registry leads to one command or one refusal, or waits; each bad one is refused."""
    commands = Counter(
        book.origin(x.data)
        for name in ("identity.commands.v1", "opportunities.commands.v1", "attendance.commands.v1")
        for x in book.published(name)
        if not isinstance(x.data, identity.ExpireLinkRequest)
    )
    refused: Counter[tuple[str, str]] = Counter()
    unread: Counter[tuple[str, str]] = Counter()
    for x in book.of(refusals.MessageRefused):
        assert x.event is not None
        found = unread if x.event.causation is None else refused
        if x.event.causation in (None, x.data.message_id):
            found[code_of(x.topic), x.data.message_id] += 1
    for topic in sorted(book.topics.inbound):
        for line in book.published(topic):
            if isinstance(line.data, _RECEIPTS) or book.stands_aside(line):
                continue
            assert line.event is not None
            ways = commands[line.event.source, line.id] + refused[code_of(topic), line.id]
            if ways != 1:
                yield at("I7", line, f"it led to {ways} commands or refusals, not to one")
        for line in book.world.lines[topic]:
            if line.said is not None:
                place = f"{line.topic}/{line.partition}/{line.offset}"
                key = (code_of(topic), line.said.id or place)
                if unread[key] < 1:
                    yield at("I7", line, f"a bad message ({line.fault}) was not refused to its sender")
                unread[key] -= 1


def _commands(book: Book) -> Iterator[Violation]:
    for kind, answers in _ANSWERS.items():
        for line in book.of(kind):
            given = book.effects(line, *answers)
            if len(given) != 1 and not book.stands_aside(line):
                yield at("I7", line, f"{kind.__name__} has {len(given)} answers: {_names(given)}")
    for line in book.of(opportunities.SignupRefused, opportunities.SignupConfirmed, opportunities.SignupWaitlisted):
        assert line.event is not None
        if ("urn:shuangcheng:service:bridge", line.event.causation) not in book.first:
            yield at("I7", line, "an answer that no command asked for")


def _requests_to_link(book: Book) -> Iterator[Violation]:
    refused = Counter((x.data.host, x.data.origin.message_id) for x in book.of(identity.LinkRefused))
    linked = {(x.data.home, x.data.home_ref, x.data.host, x.data.host_ref) for x in book.of(identity.LinkEstablished)}
    stands = {row["request_id"] for row in book.rows("identity", "request") if row["outcome"] == "pending"}
    for line in book.of(identity.RequestLink):
        asked = line.data
        tied = (asked.home, asked.home_ref, asked.host, asked.host_ref) in linked
        said_no = refused[asked.host, asked.origin.message_id]
        if said_no > 1 or not (said_no or tied or line.id in stands or book.stands_aside(line)):
            yield at("I7", line, f"a request to link was established: {tied}, and refused {said_no} times")


def _attestations(book: Book) -> Iterator[Violation]:
    """Each attestation is decided, unless a later version was already."""
    for line in book.of(attendance.AttestService):
        record = book.records.get((line.data.host, line.data.record.record_ref))
        newer = record is not None and any(x.data.record.version >= line.data.record.version for x in record.facts)
        decided = newer or book.effects(line, *_SERVICE_FACTS, attendance.CommandRefused)
        if not decided and not book.stands_aside(line):
            yield at("I7", line, f"version {line.data.record.version} was not decided")


def _told(book: Book) -> Iterator[Violation]:
    for line in book.of(*_SIGNUP_FACTS):
        told = Counter(code_of(x.topic) for x in book.effects(line, deliveries.SignupChanged))
        for code in {line.data.host, line.data.asker}:
            if told[code] != 1 and not book.stands_aside(line):
                yield at("I7", line, f"{type(line.data).__name__} was told {told[code]} times to {code}")
        if any(count > 1 for count in told.values()) and told[line.data.host] == told[line.data.asker] == 1:
            yield at("I7", line, f"told to {dict(told)}")
    for line in book.of(*_SERVICE_FACTS):
        told = Counter(code_of(x.topic) for x in book.effects(line, deliveries.ServiceDecided))
        if told != {line.data.host: 1} and not book.stands_aside(line):
            yield at("I7", line, f"{type(line.data).__name__} was told {told[line.data.host]} times to its host")
    for line in book.of(*_REFUSED):
        given = len(book.effects(line, refusals.MessageRefused))
        if given != 1 and not book.stands_aside(line):
            yield at("I7", line, f"CommandRefused led to {given} refusals to its sender")


def _credits(book: Book) -> Iterator[Violation]:
    """Each credit that was sent has a receipt, or stands as uncertain; each end of a transfer is told to its host."""
    given: defaultdict[Any, int] = defaultdict(int)
    for line in book.of(*_RECEIPTS):
        given[code_of(line.topic), line.data.transfer_id] += 1
    for line in book.of(deliveries.CreditPosted):
        changes = book.transfers.get(line.data.transfer_id, [])
        open_yet = bool(changes) and changes[-1].data.state in ("uncertain", "queued", "sent", "withheld")
        if not given[code_of(line.topic), line.data.transfer_id] and not open_yet:
            yield at("I7", line, f"transfer {line.data.transfer_id} has no receipt")
    told = Counter(_report(x, x.data) for x in book.of(deliveries.CreditReported))
    for line in book.of(ledger.TransferChanged):
        if line.data.state in _REPORTED and told[_report(line, line.data)] != 1:
            times = told[_report(line, line.data)]
            yield at("I7", line, f"transfer {line.data.state}: its host was told {times} times")


def _report(line: Line, data: Any) -> tuple[Any, ...]:
    assert line.event is not None
    return (data.transfer_id, data.version, data.state, data.reason, line.event.causation)


def _names(lines: list[Line]) -> str:
    return ", ".join(type(line.data).__name__ for line in lines) or "none"
