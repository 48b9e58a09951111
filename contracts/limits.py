"""Limits of a record and of a batch of records, beside the limit of a body (``envelope.MAX_BYTES``)."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_RECORDS", "MAX_HEADER_BYTES", "MAX_OPENED_BYTES"]

MAX_BATCH_BYTES: Final = 1024 * 1024
"""Bytes of a batch as it travels, after compression: ``max.message.bytes`` of every topic."""

MAX_OPENED_BYTES: Final = 8 * 1024 * 1024
"""Bytes of all records of a batch after decompression. Decoders stop there."""

MAX_BATCH_RECORDS: Final = 65_536
"""Records in a batch. If a batch had more, they would be smaller than the smallest message of the contract."""

MAX_HEADER_BYTES: Final = 32 * 1024
"""Bytes of a record's key and of all names and values of its headers together; each header counts two more."""
