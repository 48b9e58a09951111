"""A finding of an invariant: the person concerned, the place, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.support.checker.world import Line, Row

if TYPE_CHECKING:
    from tests.support.checker.book import Book

__all__ = ["Violation", "at", "of_row"]


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
    person, record = book.who.person(line), book.who.record(line)
    return Violation(invariant, what, None if person is None else str(person), record, *line.place, about)


def of_row(
    book: Book, invariant: str, what: str, row: Row, *, registry: str | None = None, about: str | None = None
) -> Violation:
    """A finding at a row, of a registry's view or a service's table: at the message that speaks of the same thing."""
    line = book.who.line_of(row, registry)
    person, record = book.who.person_of_row(row, registry), book.who.record_of_row(row)
    found = Violation(invariant, what, None if person is None else str(person), record, about=about or what)
    return found if line is None else replace(found, topic=line.topic, partition=line.partition, offset=line.offset)
