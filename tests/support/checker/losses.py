"""I8 nothing lost: what was published has its row. I12 replay: the rows are what the logs say, no more, no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.checker.book import Book
from tests.support.checker.poison import readers
from tests.support.checker.replay import Expected, Key, expectations
from tests.support.checker.violations import Violation, at
from tests.support.checker.world import Line, Row

__all__ = ["nothing_lost", "replay"]


def nothing_lost(book: Book) -> Iterator[Violation]:
    """I8: every message of a topic is seen by each service that reads it, and every effect has its row."""
    for topic, services in sorted(readers(book).items()):
        for line in book.world.lines.get(topic, ()):
            if line.event is None:
                continue
            for name in services:
                if (line.event.source, line.event.id) not in book.inboxes[name]:
                    yield at("I8", line, f"{name} never saw it")
    for expected in expectations(book):
        stands = _rows(book, expected)
        for key, (_, line) in expected.rows.items():
            if key not in stands:
                yield at("I8", line, f"{_name(expected, key)} is not there")


def replay(book: Book) -> Iterator[Violation]:
    """I12: rebuilt from the logs, each table is the same; no service has seen what is on no log."""
    for expected in expectations(book):
        stands = _rows(book, expected)
        for key, row in stands.items():
            told = expected.rows.get(key)
            if told is not None:
                yield from _differing(expected, key, row, *told)
            elif expected.complete:
                person = row.get("person")
                what = f"{_name(expected, key)} follows from no message"
                yield Violation("I12", what, None if person is None else str(person), row.get("record_ref"))
    for name, seen in sorted(book.inboxes.items()):
        for source, id_ in sorted(seen - book.first.keys()):
            yield Violation("I12", f"{name} has seen {id_} of {source}, which is on no log")


def _differing(expected: Expected, key: Key, row: Row, columns: Row, line: Line) -> Iterator[Violation]:
    for column, value in columns.items():
        if _plain(row[column]) != _plain(value):
            what = f"{_name(expected, key)}: {column} is {row[column]}, the logs say {value}"
            yield at("I12", line, what)


def _rows(book: Book, expected: Expected) -> dict[Key, Row]:
    rows = book.rows(expected.database, expected.table)
    return {tuple(row[column] for column in expected.key): row for row in rows}


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def _name(expected: Expected, key: Key) -> str:
    return f"{expected.database}.{expected.table} {'/'.join(map(str, key))}"
