"""A Kafka record as the chassis carries it, and the way from its bytes to a message of the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import orjson
from aiokafka import ConsumerRecord

from contracts.envelope import ContractError, Event, decode
from contracts.partitioner import partition_for
from contracts.refused import ContractRefusal
from contracts.topics import TopicEntry
from services.chassis.base.database import describe
from services.chassis.base.logs import log
from services.chassis.log.batches import Part, PartRead

__all__ = [
    "Candidate",
    "Record",
    "appended_at",
    "content_digest",
    "decode_record",
    "mark",
    "pack_headers",
    "pack_texts",
    "record_of",
    "unpack_headers",
]

_LOG_APPEND_TIME: Final = 1
Headers = Sequence[tuple[str, bytes | None]]
"""Headers. A name that is not UTF-8 is text with surrogates (PEP 383), so that no byte of it is lost."""


_WITHIN_A_MILLISECOND: Final = timedelta(microseconds=999)


class Record(NamedTuple):
    """Bytes at a place in a log. ``timestamp`` is Kafka's, in milliseconds.

    With ``part`` only the first bytes are there, of a record or of a batch that begins here.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Headers
    value: bytes | None
    part: Part | None = None
    appended: bool = False
    """Whether ``timestamp`` is the log's own time of arrival, and not what the producer wrote."""

    @property
    def last(self) -> int:
        """The last offset: of a record its own, of an unreadable batch the last of the batch."""
        return self.offset if self.part is None else self.part.last


def record_of(message: ConsumerRecord) -> Record:
    """What the client read, as the chassis carries it."""
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        message.headers,
        message.value,
        message.part if isinstance(message, PartRead) else None,
        message.timestamp_type == _LOG_APPEND_TIME,
    )


def appended_at(record: Record, entry: TopicEntry, received_at: datetime) -> datetime | None:
    """When the log took in a record that a stranger wrote; by our own clock where the log does not tell.

    None where a service of the linkage wrote the time in the message.
    """
    if not entry.log_time:
        return None
    if not record.appended:
        return received_at
    # The log tells whole milliseconds. A message that was made within this millisecond was not made after it came.
    return datetime.fromtimestamp(record.timestamp / 1000, UTC) + _WITHIN_A_MILLISECOND


class Candidate(NamedTuple):
    """A record after decoding: an event, or what is wrong with it."""

    record: Record
    event: Event | None
    error: ContractError | None
    digest: bytes = b""


def pack_headers(headers: Headers) -> bytes:
    """Headers as bytes for a column; any bytes survive, in names too, and a null value stays null."""
    return orjson.dumps(
        [(_packed_name(name), None if value is None else value.decode("latin-1")) for name, value in headers]
    )


def _packed_name(name: str) -> str:
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("latin-1")


def pack_texts(headers: Sequence[tuple[str, str]]) -> bytes:
    """The same for headers that are still text; nearly all of it is ASCII, which needs no way over bytes."""
    return orjson.dumps([(name, text if text.isascii() else text.encode().decode("latin-1")) for name, text in headers])


def unpack_headers(packed: bytes) -> list[tuple[str, bytes | None]]:
    """The inverse of ``pack_headers`` and ``pack_texts``."""
    return [
        (_unpacked_name(name), None if value is None else value.encode("latin-1"))
        for name, value in orjson.loads(packed)
    ]


def _unpacked_name(name: str) -> str:
    return name if name.isascii() else name.encode("latin-1").decode("utf-8", "surrogateescape")


def mark(record: Record) -> str:
    """The digest by which a record is recognised when it is read back."""
    whole = b"" if record.part is None else record.part.digest
    return hashlib.blake2b((record.key or b"") + b"\0" + (record.value or b"") + whole, digest_size=12).hexdigest()


def decode_record(record: Record, entry: TopicEntry, sources: frozenset[str]) -> Candidate:
    """Decode one record alone: a fault of it concerns no other record."""
    try:
        if record.part is not None:
            raise _only_a_part(record, record.part)
        event = decode(record.value, record.headers)
        _check(event, record, entry, sources)
    except ContractError as error:
        # The traceback holds this record, and through its callers the whole batch, in a reference cycle.
        error.__traceback__ = error.__context__ = None
        return Candidate(record, None, error)
    except Exception as error:
        # A fault of our code, met by this record alone: other records must not wait for it.
        log().error("decoding raised", topic=record.topic, partition=record.partition, detail=describe(error))
        return Candidate(record, None, ContractError("bytes", f"cannot be read: {describe(error)}"))
    return Candidate(record, event, None, content_digest(event.type, record.value))


def content_digest(type: str, value: bytes | None) -> bytes:
    """The digest of what a message says: two messages of one id with the same digest are one message."""
    return hashlib.blake2b(value or b"", digest_size=16, key=type.encode()[:64]).digest()


def _only_a_part(record: Record, part: Part) -> ContractError:
    """Why a record cannot be decoded, with the id, source and type that its headers give."""
    told = ContractError(part.reason, part.detail)
    try:
        decode(None, record.headers)
    except ContractError as error:
        told.id, told.source, told.type = error.id, error.source, error.type
    return told


def _check(event: Event, record: Record, entry: TopicEntry, sources: frozenset[str]) -> None:
    reason: ContractRefusal | None = None
    if event.source not in sources:
        reason, detail = "wrong_source", f"{event.source} does not own {entry.name}"
    elif type(event.data) not in entry.messages:
        reason, detail = "wrong_topic", f"{event.type} does not travel on {entry.name}"
    elif record.key != event.key.encode():
        reason, detail = "wrong_key", "the record's key is not the key of its body"
    elif record.partition != (right := partition_for(event.key, entry.partitions)):
        reason, where = "wrong_partition", f"its key belongs in {right} of {entry.partitions} (murmur2)"
        detail = f"it stands in partition {record.partition}; {where}"
    if reason:
        error = ContractError(reason, detail)
        error.id, error.source, error.type = event.id, event.source, event.type
        raise error
