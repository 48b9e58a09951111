"""What a record and a batch of records may hold beside the body's own limit (``envelope.MAX_BYTES``)."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_RECORDS", "MAX_HEADER_BYTES", "MAX_OPENED_BYTES"]

MAX_BATCH_BYTES: Final = 1024 * 1024
"""Bytes of a batch as it travels, after compression: ``max.message.bytes`` of every topic."""

MAX_OPENED_BYTES: Final = 8 * 1024 * 1024
"""Bytes of all records of a batch after decompression. Decoders stop there."""

MAX_BATCH_RECORDS: Final = 65_536
"""Records in a batch. The smallest message of the contract is larger than what is left for each of so many."""

MAX_HEADER_BYTES: Final = 32 * 1024
"""Bytes of a record's key and of all names and values of its headers together; each header counts two more."""
