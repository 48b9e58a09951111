"""Record batches as bytes, as other clients write them, and the request that sends them to a broker unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as BatchBuilder
from aiokafka.structs import TopicPartition

__all__ = ["CODECS", "BatchWriter", "RawRecord", "batch_bytes"]

CODECS: Final = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
"""Kafka's codecs by number (bits 0 to 2 of a batch's attributes)."""


@dataclass(frozen=True)
class RawRecord:
    """A record with names of headers of any bytes. ``timestamp``: milliseconds, or now."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...] = ()
    timestamp: int | None = None


class _Name(str):
    """A header's name of any bytes: the builder asks it for its UTF-8."""

    raw: bytes

    def encode(self, *_: object) -> bytes:
        return self.raw


def _name(raw: bytes) -> str:
    name = _Name("x")
    name.raw = raw
    return name


def batch_bytes(records: Sequence[RawRecord], codec: int = 0) -> bytes:
    """One batch of format 2 with these records."""
    builder = BatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for offset, record in enumerate(records):
        headers = [(_name(name), value) for name, value in record.headers]
        builder.append(offset, record.timestamp, record.key, record.value, headers)
    return bytes(builder.build())


class BatchWriter:
    """Writes finished batches, for ``async with``."""

    def __init__(self, address: str) -> None:
        self._client = AIOKafkaClient(bootstrap_servers=address, client_id="batches", request_timeout_ms=60_000)

    async def __aenter__(self) -> BatchWriter:
        await self._client.bootstrap()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def write(self, topic: str, partition: int, batch: bytes) -> int:
        """Give the offset of the batch's first record. Raises ``KafkaError`` where the broker refuses the batch.

        The leader of a topic that was just made may not know yet that it leads.
        """
        while True:
            try:
                return await self._written(topic, partition, batch)
            except NotLeaderForPartitionError:
                await self._client.force_metadata_update()

    async def _written(self, topic: str, partition: int, batch: bytes) -> int:
        place = TopicPartition(topic, partition)
        while (leader := self._client.cluster.leader_for_partition(place)) in (None, -1):
            await self._client.add_topic(topic)
            await asyncio.sleep(0)
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=30_000, topics=[(topic, [(partition, batch)])]
        )
        answer = await self._client.send(leader, request)
        _, error, offset, *_ = answer.topics[0][1][0]
        if error:
            raise for_code(error)()
        return int(offset)
