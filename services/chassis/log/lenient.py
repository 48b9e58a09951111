"""A parser of uncompressed batches (format 2) that takes every header's name, and no more memory than their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from aiokafka.record.default_records import DefaultRecordBase
from aiokafka.record.util import decode_varint

from services.chassis.log.codecs import Unreadable

__all__ = ["LenientRecord", "records_of"]

_HEADER: Final = DefaultRecordBase.HEADER_STRUCT
_HEADERS_TAKEN_APART: Final = 256 * 1024
"""Headers of more bytes than this are handed over as the value of one header without a name: each is an object."""


class LenientRecord(NamedTuple):
    """A record. A name that is not UTF-8 has surrogates in the place of its bytes (PEP 383)."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def records_of(batch: bytes) -> Iterator[LenientRecord]:
    """The records in order.

    Raises ``Unreadable`` at the first that is not well formed.
    """
    fields = _HEADER.unpack_from(batch)
    base, attributes, stamp, newest, count = fields[0], fields[5], fields[7], fields[8], fields[12]
    stamped_by_log = bool(attributes & DefaultRecordBase.TIMESTAMP_TYPE_MASK)
    reader = _Reader(bytearray(batch), _HEADER.size)
    for _ in range(count):
        length = reader.number()
        end = reader.at + length
        if not reader.at < end <= len(batch):
            raise Unreadable("a record is longer than its batch")
        reader.at += 1  # attributes, of which none is defined
        delta = reader.number()
        moment = newest if stamped_by_log else _wrapped(stamp + delta)
        offset = base + reader.number()
        yield LenientRecord(
            offset, moment, int(stamped_by_log), reader.data(end), reader.data(end), reader.headers(end)
        )
        if reader.at != end:
            raise Unreadable("a record's length is wrong")


class _Reader:
    """A place in the bytes of a batch."""

    def __init__(self, batch: bytearray, at: int) -> None:
        self.batch = batch
        self.at = at

    def number(self) -> int:
        try:
            value, self.at = decode_varint(self.batch, self.at)
        except (ValueError, IndexError) as error:
            raise Unreadable(f"a number is not well formed: {error}") from None
        return int(value)

    def data(self, end: int) -> bytes | None:
        """Bytes with their length before them, which end before ``end``; a negative length is null."""
        length = self.number()
        if length < 0:
            return None
        start, self.at = self.at, self.at + length
        if self.at > end:
            raise Unreadable("a field is longer than its record")
        return bytes(self.batch[start : self.at])

    def headers(self, end: int) -> list[tuple[str, bytes | None]]:
        """All headers of the record that ends at ``end``."""
        count = self.number()
        if end - self.at > _HEADERS_TAKEN_APART:
            start, self.at = self.at, end
            return [("", bytes(self.batch[start:end]))]
        if count < 0 or count > end - self.at:
            raise Unreadable(f"{count} headers")
        found = []
        for _ in range(count):
            if (name := self.data(end)) is None:
                raise Unreadable("a header's name is null")
            found.append((name.decode("utf-8", "surrogateescape"), self.data(end)))
        return found


def _wrapped(moment: int) -> int:
    """The sum as a signed 64-bit number: other clients compute it so, and a column holds no more."""
    return (moment + 2**63) % 2**64 - 2**63
