"""I7 answered: each question is answered once, and each decision is told to all whom it concerns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from contracts.envelope import ContractError
from contracts.messages import Message, attendance, deliveries, identity, opportunities, receipts, refusals
from deploy.audit.book import Book
from deploy.audit.told import told as told_to_registries
from deploy.audit.translated import COMMANDS
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line, code_of

__all__ = ["answered"]

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
"""The answers to a command. Exactly one of them names the command as its cause."""
_TIMERS: Final = (identity.ExpireLinkRequest, opportunities.CloseWaitlist)
_SERVICE_FACTS: Final = (attendance.ServiceConfirmed, attendance.ServiceHeld, attendance.ServiceRevoked)
_RECEIPTS: Final = (receipts.CreditAccepted, receipts.CreditRefused, receipts.CreditUnknown)


def answered(book: Book) -> Iterator[Violation]:
    """I7: all of it. A message that a service has set aside is not answered yet."""
    yield from _admission(book)
    yield from _commands(book)
    yield from _requests_to_link(book)
    yield from _attestations(book)
    yield from _receipts(book)
    yield from told_to_registries(book)


def _admission(book: Book) -> Iterator[Violation]:
    """Each message of a registry leads to one command or one refusal, or waits. Each bad message is refused."""
    commands = Counter(book.origin(x.data) for x in book.published(*COMMANDS) if not isinstance(x.data, _TIMERS))
    refused: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    unread: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for x in book.of(refusals.MessageRefused):
        assert x.event is not None
        if x.event.causation in (None, x.data.message_id):
            found = unread if x.event.causation is None else refused
            found[code_of(x.topic), x.data.message_id].append(x)
    for topic in sorted(book.topics.inbound):
        for line in book.published(topic):
            told = refused.pop((code_of(topic), line.id), [])
            assert line.event is not None
            for x in told:
                if (x.data.message_type, x.data.refused_key) != (line.event.type, line.event.key):
                    what = f"the refusal has another type or key than the refused message {line.id} ({line.event.key})"
                    yield at(book, "I7", x, what)
            ways = commands[line.event.source, line.id] + len(told)
            if ways != 1 and not isinstance(line.data, _RECEIPTS) and not book.stands_aside(line, "bridge"):
                yield at(book, "I7", line, f"this message led to {ways} commands or refusals, not to 1 of them")
        for line in book.world.lines[topic]:
            if (bad := _turned_away(book, line)) is not None:
                told = unread.get((code_of(topic), bad.id or "/".join(map(str, line.place))), [])
                fits = next((x for x in told if _speaks_of(x, line, bad)), None)
                if fits is None:
                    yield at(
                        book, "I7", line, f"no MessageRefused tells the sender that this message is bad ({bad.reason})"
                    )
                else:
                    told.remove(fits)
    for left in (*refused.values(), *unread.values()):
        for x in left:
            what = f"the refusal names message {x.data.message_id} ({x.data.reason}), but there is no such message"
            yield at(book, "I7", x, what)


def _turned_away(book: Book, line: Line) -> ContractError | None:
    """The refusal that the border must have sent for a message that it does not decide."""
    if line.event is None or book.aside.get(line.place, {}).get("bridge") != "reused_id":
        return line.said
    error = ContractError("reused_id", "")
    error.id, error.type = line.event.id, line.event.type
    return error


def _speaks_of(told: Line, line: Line, bad: ContractError) -> bool:
    """A refusal need not repeat a key that may be anything."""
    keys = ("-", (line.key or b"").decode(errors="replace"))
    same = told.data.reason == bad.reason and told.data.refused_key in keys
    return bool(same and told.data.message_type == bad.type)


def _commands(book: Book) -> Iterator[Violation]:
    for kind, answers in _ANSWERS.items():
        for line in book.of(kind):
            # A sign-up that stands because this sign-up ended is told too, and so are others who asked for it.
            given = [x for x in book.effects(line, *answers) if _same_signup(x.data, line.data)]
            each = Counter(
                (type(x.data), getattr(x.data, "asker", ""), getattr(x.data, "signup_ref", "")) for x in given
            )
            if (len({told for told, *_ in each}) != 1 or len(given) != len(each)) and not book.stands_aside(line):
                yield at(book, "I7", line, f"this {kind.__name__} has {len(given)} answers: {_names(given)}")
    for line in book.of(opportunities.SignupRefused, opportunities.SignupConfirmed, opportunities.SignupWaitlisted):
        if book.cause(line) is None:
            yield at(book, "I7", line, "this answer belongs to no command of the bridge")


def _same_signup(told: Any, asked: Any) -> bool:
    return bool(getattr(told, "signup_id", asked.signup_id) == asked.signup_id)


def _requests_to_link(book: Book) -> Iterator[Violation]:
    refused = Counter((x.data.host, x.data.origin.message) for x in book.of(identity.LinkRefused))
    answers = [x.data for x in book.of(identity.LinkEstablished) if x.data.origin is not None]
    linked = Counter((told.host, told.origin.message) for told in answers)
    stands = {row["request_id"] for row in book.rows("identity", "request")}
    for line in book.of(identity.RequestLink):
        asked = line.data.host, line.data.origin.message
        said_yes, said_no = linked[asked], refused[asked]
        if said_yes + said_no != 1 and not (line.id in stands or book.stands_aside(line)):
            what = f"this request to link has {said_yes} LinkEstablished and {said_no} LinkRefused, not 1 answer"
            yield at(book, "I7", line, what)


def _attestations(book: Book) -> Iterator[Violation]:
    """Each attestation is decided, unless a later version was decided before."""
    newest = {key: max(x.data.record.version for x in record.facts) for key, record in book.records.items()}
    for line in book.of(attendance.AttestService):
        newer = newest.get((line.data.host, line.data.record.record_ref), 0) >= line.data.record.version
        decided = newer or book.effects(line, *_SERVICE_FACTS, attendance.CommandRefused)
        if not decided and not book.stands_aside(line):
            yield at(book, "I7", line, f"attendance has not decided version {line.data.record.version} of the record")


def _receipts(book: Book) -> Iterator[Violation]:
    """Each credit that was sent has a receipt, or its transfer is open."""
    given = {(code_of(line.topic), line.data.transfer_id) for line in book.of(*_RECEIPTS)}
    for line in book.of(deliveries.CreditPosted):
        changes = book.transfers.get(line.data.transfer_id, [])
        open_yet = bool(changes) and changes[-1].data.state in ("uncertain", "queued", "sent", "withheld")
        if (code_of(line.topic), line.data.transfer_id) not in given and not open_yet:
            yield at(book, "I7", line, f"the home sent no receipt for transfer {line.data.transfer_id}")


def _names(lines: list[Line]) -> str:
    return ", ".join(type(line.data).__name__ for line in lines) or "none"
