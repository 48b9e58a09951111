"""A file of events of any length, plain or compressed. It is read line by line, as often as needed, in bounded
memory."""

from __future__ import annotations

import codecs
import gzip
import shutil
import sqlite3
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, cast

from contracts.envelope import MAX_BYTES
from deploy.operate.errors import EnvironmentProblem, LocalError

__all__ = ["EventFile", "Ids", "event_file"]

LONGEST_LINE: Final = 2 * MAX_BYTES
"""Bytes of a line that are read. No message has a longer line."""
_GZIP: Final = b"\x1f\x8b"
_OTHERS: Final = {
    b"BZh": "compressed with bzip2", b"\xfd7zXZ": "compressed with xz", b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"PK\x03\x04": "a zip archive", codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
_TODO: Final = "give one CloudEvent in structured JSON on each line, as UTF-8 text, plain or gzip"


class EventFile:
    """The stored file. ``name`` is shown to people; ``size`` is in bytes, as stored."""

    def __init__(self, stored: IO[bytes], name: str) -> None:
        self._stored = stored
        self.name = name
        self.size = stored.seek(0, 2)

    @property
    def position(self) -> int:
        """How many stored bytes are read."""
        return min(self._stored.tell(), self.size)

    def lines(self) -> Iterator[bytes]:
        """All lines from the beginning, each with its line end. A longer line is cut one byte after ``LONGEST_LINE``.

        When the file has no lines of JSON, ``LocalError`` says what kind of file it is.
        """
        self._stored.seek(0)
        packed = self._stored.read(2) == _GZIP
        self._stored.seek(0)
        text = cast("IO[bytes]", gzip.GzipFile(fileobj=self._stored)) if packed else self._stored
        try:
            head = text.read(4096)
            self._require_lines(head)
            text.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
            yield from _bounded(text)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise LocalError(f"{self.name} is a cut or broken gzip file; nothing was sent", todo=_TODO) from error

    def _require_lines(self, head: bytes) -> None:
        found = next((what for magic, what in _OTHERS.items() if head.startswith(magic)), None)
        start = head.removeprefix(codecs.BOM_UTF8).lstrip()
        if found is None and b"\0" in head[:64]:
            found = "UTF-16 or no text at all"
        if found is None and start.startswith(b"["):
            found = "one JSON array"
        first, more_lines, _ = start.partition(b"\n")
        if found is None and more_lines and first.strip() == b"{":
            found = "JSON over several lines"
        if found is not None:
            raise LocalError(f"{self.name} is {found}; nothing was sent", todo=f"{_TODO}; `jq -c` writes such lines")


class Ids:
    """Finds ids that two different messages have. The ids are kept on disk, so there may be any number of them."""

    def __init__(self) -> None:
        self._kept = sqlite3.connect("")
        self._kept.execute("CREATE TABLE seen (id BLOB, line INTEGER, content BLOB)")
        self._new: list[tuple[bytes, int, bytes]] = []

    def add(self, source: str, id_: str, line: int, content: bytes) -> None:
        """Keep the content of this line under its source and id."""
        self._new.append((_digest(f"{source}\0{id_}".encode()), line, _digest(content)))
        if len(self._new) >= 5000:
            self._write()

    def used_twice(self) -> Iterator[tuple[int, int]]:
        """Lines that differ from the first line of the same source and id, each with that first line."""
        self._write()
        yield from self._kept.execute(
            "SELECT line, first FROM (SELECT line, content, first_value(line) OVER same AS first, "
            "first_value(content) OVER same AS said FROM seen WINDOW same AS (PARTITION BY id ORDER BY line)) "
            "WHERE content <> said ORDER BY line"
        )

    def _write(self) -> None:
        self._kept.executemany("INSERT INTO seen VALUES (?, ?, ?)", self._new)
        self._new.clear()


@contextmanager
def event_file(file: str) -> Iterator[EventFile]:
    """Open the file. Input from a pipe or from standard input is copied to disk first, since it is read twice."""
    name = "standard input" if file == "-" else file
    try:
        with tempfile.TemporaryFile() as spool:
            if file == "-":
                shutil.copyfileobj(sys.stdin.buffer, spool)
                yield EventFile(spool, name)
                return
            with Path(file).open("rb") as stored:
                if not stored.seekable():
                    shutil.copyfileobj(stored, spool)
                yield EventFile(stored if stored.seekable() else spool, name)
    except OSError as error:
        if error.filename is None:
            raise
        raise EnvironmentProblem(
            f"cannot read {file}: {error.strerror}", todo="give the name of a file, or - for standard input"
        ) from error


def _bounded(text: IO[bytes]) -> Iterator[bytes]:
    while line := text.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):  # the rest of a line that is too long
            line = text.readline(LONGEST_LINE + 1)


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()
