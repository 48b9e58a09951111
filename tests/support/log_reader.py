"""The log in memory as a replay reads it, and with it all that a replay works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final, Protocol

from aiokafka import ConsumerRecord, TopicPartition

from services.chassis.batch.storage import Storage
from services.chassis.restoring.means import Means
from tests.support.log import Log

__all__ = ["means_of"]


class _Base(Protocol):
    @property
    def storage(self) -> Storage: ...

    async def new_session(self) -> Any: ...


def means_of(log: Log, base: _Base) -> Means:
    """A replay reads this log, and works on this database."""

    async def partition_counts(_: Any) -> Mapping[str, int]:
        return {entry.name: entry.partitions for entry in log.entries.values()}

    async def open_reader(*_: Any) -> Any:
        return _Reader(log)

    async def session(*_: Any) -> Any:
        return await base.new_session()

    return Means(base.storage, partition_counts, open_reader, session)


_LED: Final = SimpleNamespace(cluster=SimpleNamespace(leader_for_partition=lambda _: 0))


class _Reader:
    """A consumer without a group on a log in memory, as far as a replay asks it."""

    _client = _LED

    def __init__(self, log: Log) -> None:
        self._log = log
        self._at: dict[TopicPartition, int] = {}

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        ends = self._log.partitions
        return {tp: len(ends[tp]) if tp in ends else 0 for tp in places}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._at[tp] = offset

    def pause(self, *_: TopicPartition) -> None:
        """It reads only what it is asked for."""

    resume = pause

    async def getmany(
        self, *places: TopicPartition, max_records: int = 500, **_: Any
    ) -> dict[TopicPartition, list[Any]]:
        found: dict[TopicPartition, list[Any]] = {}
        for tp in places:
            records = self._log.partitions[tp][
                self._at[tp] : self._at[tp] + max_records - sum(map(len, found.values()))
            ]
            if records:
                self._at[tp] += len(records)
                found[tp] = [
                    ConsumerRecord(
                        *record[:4], int(record.appended), record.key, record.value, None, 0, 0, record.headers
                    )
                    for record in records
                ]
        return found

    async def position(self, tp: TopicPartition) -> int:
        return self._at[tp]

    async def stop(self) -> None:
        """Nothing runs."""
