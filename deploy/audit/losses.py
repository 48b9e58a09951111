"""I8 nothing lost: each published message has its row. I12 replay: the rows are those that follow from the logs, no
others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from deploy.audit.book import Book
from deploy.audit.poison import readers
from deploy.audit.projections import Expected, Key, expectations, same
from deploy.audit.violations import Violation, at, of_row
from deploy.audit.who import who
from deploy.audit.world import Line, Row

__all__ = ["nothing_lost", "replay"]


def nothing_lost(book: Book) -> Iterator[Violation]:
    """I8: every message of a topic is seen by each service that reads it, and every effect has its row."""
    for topic, services in sorted(readers(book).items()):
        for line in book.world.lines.get(topic, ()):
            if line.event is None:
                continue
            for name in services:
                if (line.event.source, line.event.id) not in book.inboxes[name]:
                    yield at(book, "I8", line, f"the inbox of {name} does not have this message")
    for expected in expectations(book):
        stands = dict(expected.stored(book.rows(expected.database, expected.table)))
        for key, (_, line) in expected.rows.items():
            if key not in stands:
                what = f"the row {_name(expected, key)} is missing"
                yield at(book, "I8", line, what, about=what)


def replay(book: Book) -> Iterator[Violation]:
    """I12: each table is equal to the table rebuilt from the logs. No service has seen a message that is on no log."""
    for expected in expectations(book):
        for key, row in expected.stored(book.rows(expected.database, expected.table)):
            told = expected.rows.get(key)
            if told is not None:
                yield from _differing(book, expected, key, row, *told)
            elif not expected.spare(row):
                what = f"the row {_name(expected, key)} follows from no message"
                yield of_row(book, "I12", what, row)
    for name, seen in sorted(book.inboxes.items()):
        for source, id_ in sorted(seen - book.first.keys()):
            yield Violation("I12", f"the inbox of {name} has message {id_} of {source}, but no log has this message")


def _differing(book: Book, expected: Expected, key: Key, row: Row, columns: Row, line: Line) -> Iterator[Violation]:
    for column, value in columns.items():
        if column in row and same(row[column], value):
            continue
        name = f"{_name(expected, key)}: {column}"
        if column not in row:
            yield at(book, "I12", line, f"{name} is a column that the table does not have", about=name)
        else:
            found = at(book, "I12", line, f"{name} is {row[column]}, but the logs say {value}", about=name)
            yield replace(found, record=found.record or who(book).record_of_row(row))


def _name(expected: Expected, key: Key) -> str:
    return f"{expected.name} {'/'.join(map(str, key))}"
