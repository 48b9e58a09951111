"""The results of a run as plain data: lines of all topics, and rows of the audit views of services and registries."""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from contracts.envelope import ContractError, Event, decode
from contracts.limits import MAX_OPENED_BYTES
from contracts.partitioner import partition_for
from contracts.refused import ContractRefusal
from contracts.topics import INBOUND, INNER, OPERATIONS_EVENTS, TopicEntry, all_topics, registry_source, service_source

__all__ = ["INNER_DATABASES", "Headers", "Line", "Row", "Topics", "World", "code_of", "line"]

Row: TypeAlias = dict[str, Any]
Headers: TypeAlias = Sequence[tuple[str, bytes]]
_PARTS = 1 << 64
"""Parts of a microsecond, so that the ids of one millisecond keep their order."""
_BELOW_TIME = 80
"""Bits of a UUIDv7 below its milliseconds."""
INNER_DATABASES = tuple(sorted({name for entry in INNER for name in (entry.writer, *entry.readers)} - {"services"}))
"""The databases of services: whoever writes or reads an inner topic has one of its name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message at its place. ``event`` is None if the message is not in the contract; then ``fault`` says why."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Headers
    value: bytes | None
    event: Event | None = None
    fault: str | None = None
    said: ContractError | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition, offset."""
        return (self.topic, self.partition, self.offset)

    @property
    def id(self) -> str:
        """The event's id. Only of lines in the contract."""
        assert self.event is not None
        return self.event.id

    @property
    def moment(self) -> int:
        """The moment at which its service decided it, to compare with other messages of this service. Only for messages
        of services.

        If a message does not tell it (in an old recording), the time in its id, a UUIDv7 of one clock.
        """
        for name, told in self.headers:
            if name == "ce_decidedat":
                return int(told) * _PARTS
        id_ = UUID(self.id).int
        return (id_ >> _BELOW_TIME) * 1000 * _PARTS + (id_ % (1 << _BELOW_TIME)) * 1000 * _PARTS // (1 << _BELOW_TIME)

    @property
    def data(self) -> Any:
        """The message itself. Only of lines in the contract."""
        assert self.event is not None
        return self.event.data


def code_of(topic: str) -> str:
    """The registry of this topic."""
    return topic.split(".")[1]


class Topics:
    """The topics of a linkage of these registries, with their messages and writers."""

    def __init__(self, registries: Iterable[str]) -> None:
        self.entries: dict[str, TopicEntry] = {entry.name: entry for entry in all_topics(registries)}
        self.inbound = {entry.of(code).name for code in registries for entry in INBOUND}

    def writers(self, topic: str) -> frozenset[str]:
        """The CloudEvents sources that may write to a topic. Timers of a service travel on its own commands topic."""
        if topic in self.inbound:
            return frozenset({registry_source(code_of(topic))})
        if topic == OPERATIONS_EVENTS.name:
            return frozenset(service_source(name) for name in (*INNER_DATABASES, "adapters"))
        entry = self.entries[topic]
        return frozenset(service_source(leg.sender or entry.writer) for leg in entry.legs)


def line(
    topics: Topics,
    topic: str,
    partition: int,
    offset: int,
    timestamp: int,
    key: bytes | None,
    headers: Headers,
    value: bytes | None,
) -> Line:
    """Read one message alone, by the contract."""
    if len(value or b"") > MAX_OPENED_BYTES:  # its batch is larger than readers open, so nobody saw an id
        error = ContractError("unreadable", "its batch cannot be read")
        return Line(topic, partition, offset, timestamp, key, headers, value, None, error.reason, error)
    try:
        event = decode(value, headers)
    except ContractError as error:
        return Line(topic, partition, offset, timestamp, key, headers, value, None, error.reason, error)
    reason: ContractRefusal | None = None
    if event.source not in topics.writers(topic):
        reason = "wrong_source"
    elif type(event.data) not in topics.entries[topic].messages:
        reason = "wrong_topic"
    elif key != event.key.encode():
        reason = "wrong_key"
    elif partition != partition_for(event.key, topics.entries[topic].partitions):
        reason = "wrong_partition"
    if reason is None:
        return Line(topic, partition, offset, timestamp, key, headers, value, event)
    said = ContractError(reason, reason)
    said.id, said.source, said.type = event.id, event.source, event.type
    return Line(topic, partition, offset, timestamp, key, headers, value, None, reason, said)


@dataclass(repr=False)  # asyncio.run prints the result of its task, and a World takes seconds to print
class World:
    """The snapshot. ``lines`` by topic, in order within each partition; ``tables``: rows of a service's audit views, by
    database, then by the view's name without ``audit_``."""

    registries: tuple[str, ...]
    lines: dict[str, list[Line]]
    tables: dict[str, dict[str, list[Row]]]
    served: dict[str, list[Row]] = field(default_factory=dict)
    """Rows of ``audit_served`` by registry."""
    credits: dict[str, list[Row]] = field(default_factory=dict)
    """Rows of ``audit_credits`` by registry."""

    def save(self, path: Path) -> None:
        """Write the snapshot, compressed."""
        document = {
            "registries": self.registries,
            "lines": [
                [x.topic, x.partition, x.offset, x.timestamp, _pack(x.key), _pack(list(x.headers)), _pack(x.value)]
                for lines in self.lines.values()
                for x in lines
            ],
            "tables": _pack(self.tables),
            "served": _pack(self.served),
            "credits": _pack(self.credits),
        }
        path.write_bytes(lzma.compress(json.dumps(document, ensure_ascii=False).encode(), preset=9))

    @classmethod
    def load(cls, path: Path) -> World:
        """Read the file that ``save`` wrote. Messages are decoded by today's contract."""
        document = json.loads(lzma.decompress(path.read_bytes()))
        topics = Topics(document["registries"])
        lines: dict[str, list[Line]] = {name: [] for name in topics.entries}
        for topic, partition, offset, timestamp, key, headers, value in document["lines"]:
            pairs = [(name, raw) for name, raw in _unpack(headers)]
            place = (topic, partition, offset, timestamp)
            lines[topic].append(line(topics, *place, _unpack(key), pairs, _unpack(value)))
        audits = (_unpack(document[name]) for name in ("tables", "served", "credits"))
        return cls(tuple(document["registries"]), lines, *audits)


def _pack(value: Any) -> Any:
    match value:
        case dict():
            return {name: _pack(part) for name, part in value.items()}
        case list() | tuple():
            return [_pack(part) for part in value]
        case bytes():
            try:
                return {"$utf8": value.decode()}
            except UnicodeDecodeError:
                return {"$bytes": base64.b64encode(value).decode()}
        case UUID():
            return {"$uuid": str(value)}
        case datetime():
            return {"$time": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
    return value


_TAGS: dict[str, Any] = {
    "$utf8": str.encode,
    "$bytes": base64.b64decode,
    "$uuid": UUID,
    "$time": datetime.fromisoformat,
    "$date": date.fromisoformat,
}


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(part) for part in value]
    if isinstance(value, dict):
        if len(value) == 1 and (tag := next(iter(value))) in _TAGS:
            return _TAGS[tag](value[tag])
        return {name: _unpack(part) for name, part in value.items()}
    return value
