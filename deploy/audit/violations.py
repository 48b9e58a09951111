"""A finding of an invariant: the person concerned, the place, and a sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from deploy.audit.book import Book
from deploy.audit.who import who
from deploy.audit.world import Line, Row

__all__ = ["Violation", "at", "in_order", "of_row"]


@dataclass(frozen=True, slots=True, eq=False)
class Violation:
    """One finding. Unknown fields are None.

    Two findings are equal if they are the same, also if a longer run words them otherwise. ``about`` identifies a
    finding whose sentence has a figure that grows; any other finding is identified by sentence and place.
    """

    invariant: str
    what: str
    person: str | None = None
    record: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    about: str | None = None

    @property
    def identity(self) -> tuple[str | int | None, ...]:
        """The part that is the same whenever it is found."""
        if self.about is not None:
            return (self.invariant, self.about)
        return (self.invariant, self.what, self.topic, self.partition, self.offset)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Violation) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __str__(self) -> str:
        where = None if self.topic is None else f"{self.topic}/{self.partition}/{self.offset}"
        parts = (("person", self.person), ("record", self.record), ("at", where))
        return f"{self.invariant}: {self.what}" + "".join(f" [{name} {part}]" for name, part in parts if part)

    def document(self) -> dict[str, Any]:
        """The finding for JSON."""
        names = ("invariant", "what", "person", "record", "topic", "partition", "offset")
        return {name: getattr(self, name) for name in names}


def at(book: Book, invariant: str, line: Line, what: str, *, about: str | None = None) -> Violation:
    """A finding at a message, about the person and the service record that it speaks of."""
    person, record = who(book).person(line), who(book).record(line)
    return Violation(invariant, what, None if person is None else str(person), record, *line.place, about)


def of_row(
    book: Book, invariant: str, what: str, row: Row, *, registry: str | None = None, about: str | None = None
) -> Violation:
    """A finding at a row, of a registry's view or a service's table: at the message that speaks of the same thing."""
    line = who(book).line_of(row, registry)
    person, record = who(book).person_of_row(row, registry), who(book).record_of_row(row)
    found = Violation(invariant, what, None if person is None else str(person), record, about=about or what)
    return found if line is None else replace(found, topic=line.topic, partition=line.partition, offset=line.offset)


def in_order(book: Book, violations: Iterable[Violation]) -> list[Violation]:
    """Each finding once, in the order of the logs. A finding that is on no log comes last."""
    found = dict.fromkeys(violations)
    moments = _moments(book) if found else {}

    def position(violation: Violation) -> tuple[bool, int, str, int, int]:
        place = (violation.topic or "", violation.partition or 0, violation.offset or 0)
        moment = moments.get(place)
        return (moment is None, moment or 0, *place)

    return sorted(found, key=position)


def _moments(book: Book) -> dict[tuple[str, int, int], int]:
    """The moment at which each message was published, never before that of an earlier message of its partition."""
    found, last = {}, defaultdict[tuple[str, int], int](int)
    for lines in book.world.lines.values():
        for line in lines:
            where = (line.topic, line.partition)
            found[line.place] = last[where] = max(last[where], line.timestamp)
    return found
