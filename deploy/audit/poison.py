"""I15 poison: bad messages are set aside, and no good message is. I16 drained: nothing is on its way."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from contracts.topics import INBOUND, RECEIPTS
from deploy.audit.book import Book
from deploy.audit.violations import Violation, at
from deploy.audit.who import who
from deploy.audit.world import Line, Row

__all__ = ["drained", "poison", "readers"]

_HELD_UP: Final = ("waiting", "ready", "behind")
_TAKEN_IN: Final = tuple(entry for entry in INBOUND if entry is not RECEIPTS)
"""Topics of its own registry that an adapter reads: messages may be sent in the registry's name by hand too."""


def readers(book: Book) -> dict[str, list[str]]:
    """Topic → databases of its readers, by the catalogue of topics: no service is asked what it reads.

    A registry without an adapter reads with a system of its own. Only the audit views of that system are looked at.
    A service whose database is not in the snapshot did not exist when it was recorded: ``gather`` asks for all.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    adapters = {code: f"adapter_{code}" for code in book.world.registries if f"adapter_{code}" in book.world.tables}
    for entry in book.topics.entries.values():
        for reader in entry.readers:
            if reader != "registry":
                found[entry.name] |= {reader} & book.world.tables.keys()
            elif (code := entry.name.split(".")[1]) in adapters:
                found[entry.name].add(adapters[code])
    for code, adapter in adapters.items():
        for template in _TAKEN_IN:
            found[template.of(code).name].add(adapter)
    return {topic: sorted(names) for topic, names in found.items()}


def poison(book: Book) -> Iterator[Violation]:
    """I15: read = applied + duplicates + set aside, each for its own reason."""
    for name, tables in book.world.tables.items():
        for row in (*tables.get("discarded", ()), *tables["set_aside"]):
            if row["reason"] not in _HELD_UP:
                yield from _rightly(book, name, row, book.at_place.get((row["topic"], row["partition"], row["offset"])))
    for topic, services in readers(book).items():
        for line in book.world.lines.get(topic, ()):
            if line.fault is None:
                continue
            for name in services:
                if name not in book.aside.get(line.place, {}):
                    yield at(book, "I15", line, f"{name} has not set aside this bad message ({line.fault})")


def _rightly(book: Book, name: str, row: Row, line: Line | None) -> Iterator[Violation]:
    if line is None:
        person = who(book).person_of_key(row["topic"], row["key"])
        place = (row["topic"], row["partition"], row["offset"])
        what = f"{name} has set aside a message, but its place in the log has no message"
        yield Violation("I15", what, None if person is None else str(person), None, *place)
    elif not _kept_rightly(row, line.value or b""):
        yield at(book, "I15", line, f"{name} has set aside other bytes than the bytes of this message")
    elif row["reason"] == "raised":
        yield at(book, "I15", line, f"the decision of {name} about this message raised an error: {row['detail']}")
    elif row["reason"] == "reused_id":
        first = None if line.event is None else book.first[line.event.source, line.event.id]
        if first is None or first is line or first.value == line.value:
            yield at(
                book,
                "I15",
                line,
                f"{name} has set aside a good message as reused_id, but its id has no other content",
            )
    elif line.fault is None:
        yield at(book, "I15", line, f"{name} has set aside a good message ({row['reason']})")
    elif line.fault != row["reason"]:
        yield at(
            book, "I15", line, f"{name} has set this message aside as {row['reason']}, but its fault is {line.fault}"
        )


def _kept_rightly(row: Row, value: bytes) -> bool:
    """Whether its bytes are kept. Of a message that is too large digest, size and first bytes are kept; a batch that
    cannot be read is kept unopened."""
    if row["reason"] == "unreadable":
        return True
    if row.get("digest") is None:
        return bool((row["value"] or b"") == value)
    whole = row["size"], row["digest"]
    return whole == (len(value), hashlib.blake2b(value, digest_size=16).digest()) and value.startswith(row["value"])


def drained(book: Book) -> Iterator[Violation]:
    """I16: all published messages are read, each outbox is empty, nothing waits. This is asked only of a run that has
    ended."""
    if not book.drained:
        return
    yield from _read_to_the_end(book)
    for name, tables in book.world.tables.items():
        if tables["outbox"]:
            yield _in_outbox(book, name, tables["outbox"])
        for row in tables["set_aside"]:
            if row["reason"] in _HELD_UP:
                what = f"{name} has not decided this message yet: it is {row['reason']} (subject {row['subject']})"
                line = book.at_place.get((row["topic"], row["partition"], row["offset"]))
                if line is not None:
                    yield at(book, "I16", line, what)
                else:
                    yield Violation("I16", what, None, None, row["topic"], row["partition"], row["offset"])


def _read_to_the_end(book: Book) -> Iterator[Violation]:
    """Each reader of a topic has reached the end of each partition that has messages. A reader without a position has
    not begun."""
    last: defaultdict[str, dict[int, Line]] = defaultdict(dict)
    for topic, lines in book.world.lines.items():
        for line in lines:
            last[topic][line.partition] = line
    stands: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
    for name, tables in book.world.tables.items():
        for row in tables["consumed"]:
            stands[name, row["topic"], row["partition"]].append(row["next_offset"])
    for topic, names in readers(book).items():
        for name in names:
            for partition, end in last[topic].items():
                for offset in stands.get((name, topic, partition), [0]):
                    if offset <= end.offset:
                        yield _behind(book, name, offset, end)


def _behind(book: Book, name: str, offset: int, end: Line) -> Violation:
    unread = book.at_place.get((end.topic, end.partition, offset), end)
    what = f"{name} has not read this message, nor {end.offset - unread.offset} offsets after it"
    return at(book, "I16", unread, what, about=f"{name} is behind in {end.topic}/{end.partition}")


def _in_outbox(book: Book, name: str, rows: list[Row]) -> Violation:
    """A message in an outbox has no place yet."""
    first = min(rows, key=lambda row: row["id"])
    person = who(book).person_of_key(first["topic"], first["key"].encode())
    what = f"{len(rows)} messages in the outbox of {name} are not published yet"
    return Violation(
        "I16", what, None if person is None else str(person), None, first["topic"], about=f"outbox of {name}"
    )
