"""A reader of fetched Kafka batches that never raises. aiokafka's own reader, which it replaces, raises at bytes that
it cannot read.

A client that raises at a batch gets the same batch again, and nothing after it, for ever. Therefore a batch that cannot
be read becomes one record, which says so and reaches from the first offset of the batch to its last. A record beyond
the contract's limits is cut at once, so that many such records never stand in memory whole.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch

from contracts.envelope import MAX_BYTES
from contracts.limits import MAX_BATCH_RECORDS, MAX_HEADER_BYTES, MAX_OPENED_BYTES
from contracts.refused import ContractRefusal
from services.chassis.log.codecs import Unreadable, decompress
from services.chassis.log.lenient import records_of

__all__ = ["FIRST_BYTES", "Part", "PartRead", "behind_empty", "install"]

FIRST_BYTES: Final = 1024
"""Bytes that are kept of a record or batch that is not kept whole."""

_HEADER: Final = DefaultRecordBase.HEADER_STRUCT
_LENGTH_AT, _BEHIND_LENGTH, _MAGIC_AT = 8, 12, 16
_CODEC: Final = 0x07
_READ_BY_C: Final = 1024 * 1024
"""Opened batches up to this size are read by aiokafka's parser in C, which makes objects of all headers of a record."""


_EMPTY: Final[dict[TopicPartition, tuple[int, int]]] = {}
"""Per partition the offsets passed over last, from the first to before the second: what transactions leave behind."""


class Part(NamedTuple):
    """What is known of a record, or of a batch, of which only the first bytes are kept, in the place of its value.

    ``last`` is its last offset, ``size`` and ``digest`` (BLAKE2b, 16 bytes) are those of the whole value or batch;
    ``reason`` is too_large or unreadable.
    """

    last: int
    size: int
    digest: bytes
    reason: ContractRefusal
    detail: str


@dataclass
class PartRead(ConsumerRecord):  # type: ignore[misc]
    """The record that a consumer hands over in the place of such a record or batch, at its first offset."""

    part: Part


def install() -> None:
    """Have every consumer of this process read by this module."""
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _PartitionRecords


def behind_empty(place: TopicPartition, offset: int) -> int:
    """This offset; or the offset behind it up to which all was passed over."""
    start, end = _EMPTY.get(place, (0, 0))
    return end if start <= offset < end else offset


class _Batches:
    """The bytes of one answer to a fetch, cut into whole batches. The last one may be incomplete, and is left out."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = memoryview(fetched)
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._fetched)

    def has_next(self) -> bool:
        end = self._end()
        return _MAGIC_AT + self._at < end <= len(self._fetched)

    def next_batch(self) -> memoryview:
        start, self._at = self._at, self._end()
        return self._fetched[start : self._at]

    def _end(self) -> int:
        length = self._fetched[self._at + _LENGTH_AT : self._at + _BEHIND_LENGTH]
        return self._at + _BEHIND_LENGTH + int.from_bytes(length, "big", signed=True)


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Records of one partition. Transactions and control batches are passed over as aiokafka does it.

    At most as much is opened at once as one batch may hold; what lies behind is fetched again. Opening takes the loop's
    time, and a member that is silent for too long loses its partitions.
    """

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord[bytes, bytes]]:
        opened = 0
        while self._records.has_next() and opened < MAX_OPENED_BYTES:
            raw = self._records.next_batch()
            if fault := _fault(raw, self._check_crcs):
                first, last = _offsets(raw)
                yield from self._unreadable(raw, first, max(last, self.next_fetch_offset), fault)
                return  # where the next batch begins is known only if its offsets are right: the broker knows
            batch = DefaultRecordBatch(raw)
            if self._passes_over(batch):
                start, end = _EMPTY.get(self._tp, (0, -1))
                start = start if start <= self.next_fetch_offset <= end else self.next_fetch_offset
                self.next_fetch_offset = batch.next_offset
                _EMPTY[self._tp] = start, batch.next_offset
                continue
            try:
                plain = _plain(raw, batch)
            except Unreadable as error:
                opened += MAX_OPENED_BYTES
                yield from self._unreadable(raw, batch.base_offset, batch.next_offset - 1, str(error))
            else:
                opened += len(plain)
                yield from self._read(raw, plain, batch)

    def _passes_over(self, batch: Any) -> bool:
        if self._isolation_level == fetcher.READ_COMMITTED:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._is_abort(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _is_abort(self, batch: Any) -> bool:
        try:
            return bool(self._contains_abort_marker(batch))
        except Exception:  # only brokers write control batches; one that says nothing ends nothing
            return False

    def _read(self, raw: memoryview, plain: bytes, batch: Any) -> Iterator[ConsumerRecord[bytes, bytes]]:
        """Records in order. Where a record is wrong, a marker takes the place of it and of the records behind it."""
        before = batch.base_offset - 1
        try:
            for record in _parsed(plain):
                if record.offset != before + 1:
                    # Such an offset would make the reader leave out what others wrote.
                    raise Unreadable(f"offset {record.offset} stands behind {before}")
                before = record.offset
                if record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    yield self._record(record)
        except Exception as error:
            yield from self._unreadable(raw, before + 1, batch.next_offset - 1, str(error))
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _unreadable(self, raw: memoryview, first: int, last: int, why: str) -> Iterator[PartRead]:
        first = max(first, self.next_fetch_offset)
        if first > last:
            return  # all of it was read before
        self.next_fetch_offset = last + 1
        detail = f"offsets {first} to {last} cannot be read: {why}"
        part = Part(last, len(raw), hashlib.blake2b(raw, digest_size=16).digest(), "unreadable", detail)
        stamp = _HEADER.unpack_from(raw)[8] if len(raw) >= _HEADER.size and raw[_MAGIC_AT] == 2 else -1
        begin = bytes(raw[:FIRST_BYTES])
        yield PartRead(self._tp.topic, self._tp.partition, first, stamp, 0, None, begin, None, -1, len(raw), (), part)

    def _record(self, record: Any) -> ConsumerRecord[bytes, bytes]:
        key, value, headers = record.key or b"", record.value or b"", record.headers
        head = len(key) + sum(2 + len(name) + len(given or b"") for name, given in headers)
        if len(value) <= MAX_BYTES and head <= MAX_HEADER_BYTES:
            read: ConsumerRecord[bytes, bytes] = self._consumer_record(self._tp, record)
            return read
        digest = hashlib.blake2b(value, digest_size=16).digest()
        detail = f"{len(value)} bytes, at most {MAX_BYTES} are read"
        if head > MAX_HEADER_BYTES:
            detail = f"key and headers of {head} bytes, at most {MAX_HEADER_BYTES} are read"
            key, headers = key[:FIRST_BYTES], ()
        part = Part(record.offset, len(value), digest, "too_large", detail)
        known = (self._tp.topic, self._tp.partition, record.offset, record.timestamp, record.timestamp_type)
        kept = None if record.key is None else key
        return PartRead(*known, kept, value[:FIRST_BYTES], None, len(key), len(value), tuple(headers), part)


def _fault(raw: memoryview, check: bool) -> str | None:
    """What is wrong with a batch that is not opened yet; None if nothing is."""
    if raw[_MAGIC_AT] != 2:
        # Formats 0 and 1 have no headers, so no message of the contract can stand in them.
        return f"format {raw[_MAGIC_AT]} of batches is none that is read"
    if len(raw) < _HEADER.size:
        return "it is cut off"
    if check and not DefaultRecordBatch(raw).validate_crc():
        return "its checksum is wrong"
    count = _HEADER.unpack_from(raw)[12]
    if _offsets(raw)[1] - _offsets(raw)[0] != count - 1:
        return f"it has not the offsets of {count} records"  # topics are never compacted
    if count > MAX_BATCH_RECORDS:
        return f"{count} records, at most {MAX_BATCH_RECORDS} are read"
    return None


def _offsets(raw: memoryview) -> tuple[int, int]:
    """First and last offset of a batch of whose header nothing is proved: the last is believed if the count agrees."""
    base = int.from_bytes(raw[:_LENGTH_AT], "big", signed=True)
    if raw[_MAGIC_AT] < 2:
        return 0, base  # old formats say nothing but their last offset
    if raw[_MAGIC_AT] == 2 and len(raw) >= _HEADER.size:
        fields = _HEADER.unpack_from(raw)
        delta, count = fields[6], fields[12]
        if 0 < delta == count - 1 < MAX_OPENED_BYTES:
            return base, base + delta
    return base, base


def _plain(raw: memoryview, batch: Any) -> bytes:
    """The same batch without compression.

    Raises ``Unreadable``.
    """
    if not batch.compression_type:
        return bytes(raw)
    fields = list(_HEADER.unpack_from(raw))
    fields[5] &= ~_CODEC
    opened = decompress(batch.compression_type, raw[_HEADER.size :], MAX_OPENED_BYTES)
    return bytes(_HEADER.pack(*fields)) + opened


def _parsed(plain: bytes) -> Iterator[Any]:
    """Records of a batch that is not compressed; the lenient parser reads on where the parser in C fails."""
    done = 0
    if len(plain) <= _READ_BY_C:
        with contextlib.suppress(Exception):
            for record in DefaultRecordBatch(plain):
                yield record
                done += 1
            return
    yield from islice(records_of(plain), done, None)
