"""All topics of a linkage, read from outside: which bodies stand under which id."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import all_topics
from deploy.header_names import any_name_taken
from deploy.operate.ends import Ends, TopicEnds

__all__ = ["Said", "TopicsRead"]

_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Said:
    """One message on a topic: its source, its type, and a digest of type and body."""

    topic: str
    source: str
    id: str
    kind: str
    digest: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.kind} {self.id} of {self.source}"


class TopicsRead:
    """Every topic of these registries and of the linkage, read from the beginning and then on."""

    def __init__(self, address: str, registries: Iterable[str]) -> None:
        entries = all_topics(registries)
        self._places = [TopicPartition(entry.name, number) for entry in entries for number in range(entry.partitions)]
        self._address = address
        self._next = dict.fromkeys(self._places, 0)
        self._bodies: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)

    async def read_on(self) -> tuple[list[Said], list[Said]]:
        """The messages added since the last time: under new ids, and under ids that were there before."""
        fresh: list[Said] = []
        again: list[Said] = []
        async with TopicEnds(self._address) as asked:
            ends = await asked.of(self._places)
        if left := [place for place in self._places if self._next[place] < ends[place]]:
            async with asyncio.timeout(_SECONDS):
                with any_name_taken():
                    for record in await self._records(left, ends):
                        self._take(record, fresh, again)
        return fresh, again

    async def _records(self, left: list[TopicPartition], ends: Ends) -> list[Any]:
        found: list[Any] = []
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._address, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=100
        )
        reader.assign(left)
        await reader.start()
        try:
            for place in left:
                reader.seek(place, self._next[place])
            while any(self._next[place] < ends[place] for place in left):
                for place, batch in (await reader.getmany(timeout_ms=500)).items():
                    found += batch
                    self._next[place] = batch[-1].offset + 1
        finally:
            await reader.stop()
        return found

    def _take(self, record: Any, fresh: list[Said], again: list[Said]) -> None:
        headers = dict(record.headers)
        source, id_, kind = (_text(headers.get(name)) for name in ("ce_source", "ce_id", "ce_type"))
        if not id_:
            return  # not a message of ours: records of strangers are refused, whatever they hold
        digest = hashlib.sha256(kind.encode() + b"\0" + (record.value or b"")).hexdigest()
        bodies = self._bodies[record.topic, source, id_]
        (again if bodies else fresh).append(Said(record.topic, source, id_, kind, digest))
        bodies.add(digest)

    def doubled(self) -> list[str]:
        """Every id that stands on a topic with more than one body."""
        return [f"{topic}: {id_} of {source}" for (topic, source, id_), found in self._bodies.items() if len(found) > 1]


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")
