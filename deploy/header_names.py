"""Names of headers that are not UTF-8. Kafka takes them; aiokafka raises at the first such name, and reads no further.

Other clients replace bytes that they cannot read, and so do we: no CloudEvent has such a header, so it may not stop the
reader. For sandboxes and the outside checker, which read as strangers do; services have their own reader.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, cast

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import _MemoryRecordsPy

__all__ = ["any_name_taken"]

_HEADERS: Final = 2
"""The format of batches that has headers."""


class _Bytes(bytearray):
    """A buffer for the parser in Python, which decodes slices of it. Only names of headers are decoded."""

    def __getitem__(self, where):  # type: ignore[no-untyped-def]
        found = super().__getitem__(where)
        return found if isinstance(where, int) else _Bytes(cast(bytearray, found))

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # it is final, and there is no public way
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Batches(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self):  # type: ignore[no-untyped-def]
        batch = self._next_slice
        if batch is None:
            return None
        self._cache_next()
        magic = batch[self.MAGIC_OFFSET]
        return _Batch(batch) if magic >= _HEADERS else LegacyRecordBatch(batch, magic)


@contextlib.contextmanager
def any_name_taken() -> Iterator[None]:
    """While this block is open, the consumers of this process read every name of a header."""
    before = fetcher.MemoryRecords, fetcher.PartitionRecords
    own = next(kind for kind in fetcher.PartitionRecords.__mro__ if kind.__module__ == fetcher.__name__)
    fetcher.MemoryRecords, fetcher.PartitionRecords = _Batches, own
    try:
        yield
    finally:
        fetcher.MemoryRecords, fetcher.PartitionRecords = before
