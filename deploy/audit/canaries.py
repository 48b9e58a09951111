"""I14 canaries: a one-time code in clear, or a word planted by a test, is on no topic but volunteers, and in no
table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from contracts.messages import volunteers
from deploy.audit.book import Book
from deploy.audit.violations import Violation, at, of_row
from deploy.audit.world import Line

__all__ = ["canaries"]


def canaries(book: Book) -> Iterator[Violation]:
    """I14: searches the raw bytes of keys, headers and values, and all columns of all tables but the quarantine's."""
    codes = {line.data.code.encode(): line for line in book.of(volunteers.LinkRequested)}
    search = _Search(codes, book.canaries)
    for topic, lines in book.world.lines.items():
        if topic.endswith(".volunteers.v1"):
            continue
        for line in lines:
            for word in search.in_bytes(_raw(line)):
                yield at(book, "I14", line, f"{word} is in clear")
    for name, tables in book.world.tables.items():
        for table, rows in tables.items():
            if table in ("set_aside", "discarded"):
                continue
            for row in rows:
                for word in search.in_bytes(b"\0".join(_bytes(row.values()))):
                    what = f"{word} is in clear in {name}.{table}"
                    yield of_row(book, "I14", what, row, about=f"{what} {list(row.values())[:3]}")


class _Search:
    """Looks for all codes at once, by the runs of characters that could be one."""

    def __init__(self, codes: dict[bytes, Line], planted: Iterable[str]) -> None:
        self._codes = codes
        self._lengths = sorted({len(code) for code in codes})
        shortest = self._lengths[0] if codes else 0
        # A code is a run of these characters, or a part of a longer run.
        self._run = re.compile(rb"[A-Za-z0-9_-]{%d,}" % shortest) if codes else re.compile(rb"(?!)")
        self._clean: set[bytes] = set()
        """Runs that are no code: an id is in many messages."""
        self._planted = {
            form: word for word in planted for form in (word.encode(), json.dumps(word)[1:-1].encode())
        }  # as UTF-8, and as JSON may escape it

    def in_bytes(self, raw: bytes) -> Iterator[str]:
        """The finding, described without the code itself."""
        for form, word in self._planted.items():
            if form in raw:
                yield f"the planted word {word!r}"
        for run in self._run.findall(raw):
            if run not in self._clean:
                found = list(self._in_run(run))
                if not found:
                    self._clean.add(run)
                yield from found

    def _in_run(self, run: bytes) -> Iterator[str]:
        for length in self._lengths:
            for begin in range(len(run) - length + 1):
                if (line := self._codes.get(run[begin : begin + length])) is not None:
                    yield f"the one-time code of {line.topic}/{line.partition}/{line.offset}"


def _raw(line: Line) -> bytes:
    parts = [line.key or b"", line.value or b""]
    return b"\0".join([*parts, *(part for name, value in line.headers for part in (name.encode(), value or b""))])


def _bytes(values: Iterable[Any]) -> Iterator[bytes]:
    for value in values:
        if isinstance(value, str):
            yield value.encode()
        elif isinstance(value, bytes):
            yield value
        elif isinstance(value, dict | list):
            yield json.dumps(value, ensure_ascii=False).encode()
