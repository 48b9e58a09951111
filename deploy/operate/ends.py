"""The ends of topics. Apache Kafka is asked; of another broker a fetch is read, since its answer may be wrong.

Asked for the end of a partition, the embedded broker gives the *begin* of its last batch, and a batch may hold hundreds
of messages. The high watermark in each of its fetches is right. The services have the same for a reader that they have
opened already (`ends` in their `log/kafka.py`); the outside checker shares nothing, and reads until no more comes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest

from deploy.operate.brokers import offers_idempotence

__all__ = ["Ends", "TopicEnds"]

Ends: TypeAlias = Mapping[TopicPartition, int]

_READ_UNCOMMITTED: Final = 0
_WAIT_MS: Final = 5
"""Not 0: with 0 the embedded broker answers about no partition at all."""
_FEWEST_BYTES: Final = 1
"""A fetch brings next to nothing, since only its high watermarks are needed."""


class TopicEnds:
    """The ends of any number of partitions by one request, for ``async with``."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._consumer: AIOKafkaConsumer | None = None
        self._client: AIOKafkaClient | None = None

    async def __aenter__(self) -> TopicEnds:
        # A broker that is not Apache Kafka offers no idempotent producer. The launcher tells brokers apart by this too.
        if await offers_idempotence(self._address):
            self._consumer = AIOKafkaConsumer(bootstrap_servers=self._address, group_id=None, enable_auto_commit=False)
            await self._consumer.start()
        else:
            self._client = AIOKafkaClient(bootstrap_servers=self._address)
            await self._client.bootstrap()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
        if self._client is not None:
            await self._client.close()

    async def of(self, partitions: Collection[TopicPartition]) -> Ends:
        """The offset that the next message of each will have. Raises ``KafkaError``."""
        if self._consumer is not None:
            ends: Ends = await self._consumer.end_offsets(partitions)
            return ends
        assert self._client is not None
        return await _watermarks(self._client, partitions)


async def _watermarks(client: AIOKafkaClient, partitions: Collection[TopicPartition]) -> Ends:
    by_topic: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for topic, number in partitions:
        by_topic[topic].append((number, 0, _FEWEST_BYTES))
    wanted = list(by_topic.items())
    request = FetchRequest(_WAIT_MS, _FEWEST_BYTES, _FEWEST_BYTES, _READ_UNCOMMITTED, wanted)
    answer = await client.send(client.get_random_node(), request)
    found: dict[TopicPartition, int] = {}
    for topic, told in answer.topics:
        for number, failed, high_watermark, *_ in told:
            if not failed:
                found[TopicPartition(topic, number)] = high_watermark
    if lacking := set(partitions) - found.keys():
        raise KafkaError(f"no word of {min(lacking)}")
    return found
