"""Reads spans of partitions, each from one offset to before another, a piece at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.log.records import Record, record_of

__all__ = ["Spans"]

_WAIT_MS: Final = 500
_PATIENCE: Final = 30.0


class Spans:
    """``reader`` has no group and these partitions assigned and paused, as ``kafka.open_reader`` gives it."""

    def __init__(self, reader: AIOKafkaConsumer, spans: Mapping[TopicPartition, tuple[int, int]]) -> None:
        self._reader = reader
        self._ends = {tp: end for tp, (begin, end) in spans.items() if begin < end}
        self._moved_at = time.monotonic()
        for tp in self._ends:
            reader.seek(tp, spans[tp][0])

    @property
    def left(self) -> Collection[TopicPartition]:
        """The partitions that are not read to their ends."""
        return self._ends.keys()

    async def more(self, places: Collection[TopicPartition], limit: int) -> dict[TopicPartition, list[Record]]:
        """The next records of these partitions, ``limit`` at most; none after half a second.

        Raises ``TimeoutError`` when nothing has come for 30 s.
        """
        self._reader.resume(*places)
        try:
            found = await self._reader.getmany(*places, timeout_ms=_WAIT_MS, max_records=limit)
        finally:
            self._reader.pause(*places)
        records: dict[TopicPartition, list[Record]] = {}
        for tp in places:
            end = self._ends[tp]
            records[tp] = [record_of(message) for message in found.get(tp, ()) if message.offset < end]
            # The client hides the marks of transactions: they move the position only.
            if await self._reader.position(tp) >= end:
                del self._ends[tp]
                self._moved_at = time.monotonic()
        if found:
            self._moved_at = time.monotonic()
        elif time.monotonic() - self._moved_at > _PATIENCE:
            names = ", ".join(f"{tp.topic}/{tp.partition}" for tp in places)
            raise TimeoutError(f"nothing was read of {names} for {_PATIENCE:.0f} s")
        return records

    async def all(self, limit: int = 2000) -> AsyncIterator[list[Record]]:
        """All records, in the order of each partition."""
        while self._ends:
            for records in (await self.more(list(self._ends), limit)).values():
                if records:
                    yield records
