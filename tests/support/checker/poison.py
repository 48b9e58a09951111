"""I15 poison: what is bad is set aside where it stands, and nothing good is. I16 drained: nothing is on its way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.support.checker.book import Book
from tests.support.checker.violations import Violation, at
from tests.support.checker.world import Line, Row

__all__ = ["drained", "poison", "readers"]

_HELD_UP: Final = ("waiting", "ready", "behind")


def readers(book: Book) -> dict[str, list[str]]:
    """Topic → databases of the services that read it, by where their consumers stand."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, tables in book.world.tables.items():
        for row in tables["consumed"]:
            found[row["topic"]].add(name)
    return {topic: sorted(names) for topic, names in found.items()}


def poison(book: Book) -> Iterator[Violation]:
    """I15: read = applied + duplicates + set aside, each for its own reason."""
    lines = {line.place: line for of_topic in book.world.lines.values() for line in of_topic}
    for name, tables in book.world.tables.items():
        for row in tables["set_aside"]:
            if row["reason"] not in _HELD_UP:
                yield from _rightly(book, name, row, lines.get((row["topic"], row["partition"], row["offset"])))
    for topic, services in readers(book).items():
        for line in book.world.lines.get(topic, ()):
            if line.fault is None:
                continue
            for name in services:
                if name not in book.aside.get(line.place, {}):
                    yield at("I15", line, f"a bad message ({line.fault}) is not in the quarantine of {name}")


def _rightly(book: Book, name: str, row: Row, line: Line | None) -> Iterator[Violation]:
    place = f"{row['topic']}/{row['partition']}/{row['offset']}"
    if line is None:
        yield Violation("I15", f"{name} keeps a message of {place}, where nothing stands")
    elif row["value"] != line.value:
        yield at("I15", line, f"{name} keeps other bytes of it than were published")
    elif row["reason"] == "raised":
        yield at("I15", line, f"a decision of {name} raised: {row['detail']}")
    elif row["reason"] == "reused_id":
        first = None if line.event is None else book.first[line.event.source, line.event.id]
        if first is None or first is line or first.value == line.value:
            yield at("I15", line, f"{name} took a good message for one with a used id")
    elif line.fault is None:
        yield at("I15", line, f"a good message is in the quarantine of {name} ({row['reason']})")
    elif line.fault != row["reason"]:
        yield at("I15", line, f"{name} set it aside as {row['reason']}, it is {line.fault}")


def drained(book: Book) -> Iterator[Violation]:
    """I16: everything published is read, every outbox is empty, nothing waits. Only asked of a run that has ended."""
    if not book.drained:
        return
    last = {(line.topic, line.partition): line.offset for of_topic in book.world.lines.values() for line in of_topic}
    for name, tables in book.world.tables.items():
        for row in tables["consumed"]:
            lag = last.get((row["topic"], row["partition"]), -1) + 1 - row["next_offset"]
            if lag > 0:
                where = (row["topic"], row["partition"], row["next_offset"])
                yield Violation("I16", f"{name} ({row['grp']}) is {lag} messages behind", None, None, *where)
        if tables["outbox"]:
            first = tables["outbox"][0]
            yield Violation("I16", f"{len(tables['outbox'])} messages in the outbox of {name}", topic=first["topic"])
        for row in tables["set_aside"]:
            if row["reason"] in _HELD_UP:
                what = f"{name} has a message that is {row['reason']} ({row['subject']})"
                yield Violation("I16", what, None, None, row["topic"], row["partition"], row["offset"])
