"""All topics of a linkage in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, TypeVar

from aiokafka import TopicPartition

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import TopicEntry, all_topics
from services.chassis.base.clock import Clock
from services.chassis.log.records import Headers, Record

__all__ = ["Log"]

Kind = TypeVar("Kind", bound=Message)
REGISTRIES: Final = ("gz", "sz", "fs")
_topics: Final = cache(all_topics)


class Log:
    """All topics of a linkage: the records of each partition, and all of them in the order of their coming."""

    def __init__(self, clock: Clock, registries: Iterable[str] = REGISTRIES) -> None:
        self.clock = clock
        self.entries: dict[str, TopicEntry] = {entry.name: entry for entry in _topics(tuple(registries))}
        self.partitions: defaultdict[TopicPartition, list[Record]] = defaultdict(list)
        self.records: list[Record] = []
        self.used: defaultdict[str, list[TopicPartition]] = defaultdict(list)
        """The partitions of a topic in which something lies."""
        self._read: dict[int, Event] = {}
        """Events of records that a test has asked for, by their place: it asks after each step, and for all of them."""

    def write(self, topic: str, key: bytes, headers: Headers, value: bytes) -> Record:
        """Append a record where the partitioner wants it."""
        return self.append(self.record(topic, key, headers, value))

    def record(self, topic: str, key: bytes, headers: Headers, value: bytes) -> Record:
        """A record as the partitioner and the clock make it, before it is appended."""
        entry = self.entries[topic]
        written = round((self.clock.now() - _EPOCH) / _MILLISECOND)
        partition = partition_for(key.decode(), entry.partitions)
        return Record(topic, partition, 0, written, key, headers, value, None, entry.log_time)

    def append(self, made: Record) -> Record:
        """Append a record in the partition that it names, whoever chose it."""
        place = TopicPartition(made.topic, made.partition)
        partition = self.partitions[place]
        record = made._replace(offset=len(partition))
        if not partition:
            self.used[made.topic].append(place)
        partition.append(record)
        self.records.append(record)
        return record

    def say(self, topic: str, event: Event) -> Record:
        """Append an event as its sender writes it."""
        value, headers = encode(event)
        return self.write(topic, event.key.encode(), headers, value)

    def end(self, place: TopicPartition) -> int:
        """The offset that comes next there."""
        return len(self.partitions[place])

    def events(self, topic: str, since: int = 0) -> list[Event]:
        """What was said on a topic, in the order of its coming; ``since``: how many records lay on the log before."""
        return [self._event(n) for n in range(since, len(self.records)) if self.records[n].topic == topic]

    def _event(self, number: int) -> Event:
        if number not in self._read:
            record = self.records[number]
            self._read[number] = decode(record.value, record.headers)
        return self._read[number]

    def told(self, topic: str, kind: type[Kind]) -> list[Kind]:
        """All messages of a kind on a topic."""
        return [event.data for event in self.events(topic) if isinstance(event.data, kind)]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
