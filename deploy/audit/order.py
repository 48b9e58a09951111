"""I6 order: messages about one thing are told in the order in which they happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any, Final
from uuid import UUID

from contracts.messages import Message, attendance, deliveries, identity, volunteers
from contracts.messages import bridge as ledger
from deploy.audit.book import Book
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line

__all__ = ["order"]

_TERMINAL: Final = ("credited", "refused", "superseded")
_UNDER_WAY: Final = ("sent", "uncertain")
_NEXT: Final[dict[str | None, tuple[str, ...]]] = {
    None: ("queued", "sent", "withheld", "credited"),
    "queued": ("queued", "sent", "withheld", "uncertain", *_TERMINAL),
    "withheld": ("sent", "withheld", "queued", "uncertain", *_TERMINAL),
    "sent": ("queued", "uncertain", "credited", "refused"),
    "uncertain": ("uncertain", "queued", "sent", "withheld", "credited", "refused"),
}
"""The states to which a transfer may go from each state. From the last three it goes nowhere."""
_CONSENT: Final = (volunteers.ConsentGiven, volunteers.ConsentWithdrawn)
_COMMANDS: Final = ("identity.commands.v1", "opportunities.commands.v1", "attendance.commands.v1")


def order(book: Book) -> Iterator[Violation]:
    """I6: all of it."""
    yield from _facts(book)
    yield from _links(book)
    yield from _transfers(book)
    yield from _deliveries(book)
    yield from _attempts(book)
    yield from _commands(book)


def _facts(book: Book) -> Iterator[Violation]:
    """Versions of a record only grow. Nothing more is told of a version that was confirmed or revoked."""
    for record in book.records.values():
        settled = newest = 0
        for line in record.facts:
            version = line.data.record.version
            if version < newest or version <= settled:
                yield at(book, "I6", line, f"version {version} was decided after version {max(newest, settled)}")
            newest = max(newest, version)
            if not isinstance(line.data, attendance.ServiceHeld):
                settled = max(settled, version)


def _links(book: Book) -> Iterator[Violation]:
    newest: dict[tuple[UUID, str], int] = {}
    kinds = (identity.LinkEstablished, identity.LinkBroken, identity.LinkRestored)
    for line in book.published("identity.events.v1"):
        if isinstance(line.data, kinds):
            key = (line.data.person, line.data.host)
            # The same version may be told again, to a host that asked twice.
            if line.data.link_version < newest.get(key, 0):
                yield at(
                    book, "I6", line, f"version {line.data.link_version} of the link comes after version {newest[key]}"
                )
            newest[key] = max(newest.get(key, 0), line.data.link_version)


def _transfers(book: Book) -> Iterator[Violation]:
    """Each transfer goes step by step. One transfer of a record is under way at a time."""
    stands: dict[UUID, str] = {}
    begun: dict[UUID, str | None] = {}
    versions: defaultdict[tuple[str, str], int] = defaultdict(int)
    under_way: dict[tuple[str, str], UUID] = {}
    for line in book.published("bridge.events.v1"):
        change: ledger.TransferChanged = line.data
        before, key = stands.get(change.transfer_id), (change.host, change.record_ref)
        if change.state not in _NEXT.get(before, ()):
            step = f"from {before} to {change.state}" if before else f"to {change.state} as its first state"
            yield at(book, "I6", line, f"transfer {change.transfer_id} went {step}, which is not allowed")
        assert line.event is not None
        if before is None:
            begun[change.transfer_id] = line.event.causation
        elif line.event.causation == begun[change.transfer_id]:
            yield at(
                book,
                "I6",
                line,
                f"the decision that made transfer {change.transfer_id} reported it a second time",
            )
        if before is None and change.version <= versions[key]:
            what = f"the transfer of version {change.version} comes after the transfer of version {versions[key]}"
            yield at(book, "I6", line, what)
        versions[key] = max(versions[key], change.version)
        stands[change.transfer_id] = change.state
        if change.state in _UNDER_WAY:
            if under_way.setdefault(key, change.transfer_id) != change.transfer_id:
                yield at(book, "I6", line, "another transfer of this record is under way already")
        elif under_way.get(key) == change.transfer_id:
            del under_way[key]


def _deliveries(book: Book) -> Iterator[Violation]:
    """A registry is told of one record in the order of its versions."""
    kinds: dict[type[Message], str] = {deliveries.ServiceDecided: "decided", deliveries.CreditPosted: "posted"}
    for code in book.world.registries:
        newest: dict[Hashable, int] = {}
        for line in book.published(f"registry.{code}.deliveries.v1"):
            word = kinds.get(type(line.data))
            if word is None:
                continue
            record: Any = book.record_of(line.data) if word == "posted" else line.data
            if record is None:
                continue  # I9 finds it
            key = (word, getattr(line.data, "host", code), record.record_ref)
            if record.version < newest.get(key, 0):
                yield at(book, "I6", line, f"version {record.version} was {word} after version {newest[key]}")
            newest[key] = max(newest.get(key, 0), record.version)


def _attempts(book: Book) -> Iterator[Violation]:
    """The numbers of sendings about a transfer are in order, as far as the sendings have a number."""
    counts: defaultdict[UUID, int] = defaultdict(int)
    for code in book.world.registries:
        for line in book.published(f"registry.{code}.deliveries.v1"):
            if isinstance(line.data, deliveries.CreditPosted | deliveries.CreditQueried):
                counts[line.data.transfer_id] += 1
                if line.data.attempt not in (None, number := counts[line.data.transfer_id]):
                    what = (
                        f"the message names attempt {line.data.attempt}, but this is attempt {number} of the transfer"
                    )
                    yield at(book, "I6", line, what)


def _commands(book: Book) -> Iterator[Violation]:
    """A registry's messages about one volunteer or project on one topic go to inner services in the same order."""
    newest: dict[Hashable, Line] = {}
    for topic in _COMMANDS:
        for line in book.published(topic):
            said = book.first.get(book.origin(line.data))
            if said is None or line.event is None or line.event.causation != said.id:
                continue  # a timer; or without an origin, which is I9's to find
            key = (topic, line.partition, said.topic, said.key, _family(said))
            before = newest.setdefault(key, said)
            if said.offset < before.offset:
                place = f"{said.topic}/{said.partition}/{said.offset}"
                what = f"the command for {place} comes after the command for the later offset {before.offset}"
                yield at(book, "I6", line, what)
            else:
                newest[key] = said


def _family(said: Line) -> Hashable:
    """The messages of a topic that keep their order among each other. A withdrawal of consent never waits behind a
    link."""
    other = next((getattr(said.data, n) for n in ("for_registry", "home", "registry") if hasattr(said.data, n)), None)
    return (isinstance(said.data, _CONSENT), other)
