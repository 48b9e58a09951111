"""Publishes events in a registry's name: in binary mode, all acknowledged, in the given order within each key."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.envelope import Event, encode
from contracts.partitioner import partition_for
from deploy.operate.brokers import offers_idempotence, wait_until_answering
from deploy.operate.errors import EnvironmentProblem, LocalError
from deploy.operate.lines import Letter

__all__ = ["Publisher"]

_BATCH_BYTES = 256 * 1024
_ANSWER_SECONDS = 3.0
_SEND_SECONDS = 60.0


class Publisher:
    """A producer for ``async with``. Raises ``EnvironmentProblem`` when no broker answers at the address."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, int] = {}

    async def __aenter__(self) -> Publisher:
        await wait_until_answering(self._address, seconds=_ANSWER_SECONDS)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._address,
            acks="all",
            enable_idempotence=await offers_idempotence(self._address),
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=15_000,
        )
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._producer is not None
        try:
            await asyncio.wait_for(self._producer.stop(), 5)
        except TimeoutError:
            return  # all messages were acknowledged before; a broker that is gone must not delay the end

    async def require(self, topics: set[str]) -> None:
        """Raise ``EnvironmentProblem`` with the topics that the broker lacks. (To ask the broker for a missing topic
        would make it.)"""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._address, request_timeout_ms=15_000)
        try:
            await admin.start()
            missing = topics - set(await admin.list_topics())
        finally:
            await admin.close()
        if missing:
            raise EnvironmentProblem(
                f"the broker at {self._address} has no topic {', '.join(sorted(missing))}",
                todo="create them with shuangcheng topics, or check the registry's code in source",
            )

    async def publish(self, letters: Sequence[Letter]) -> int:
        """Publish, and give the number of messages once all are acknowledged. Order holds within each partition, and so
        within each key."""
        producer = self._producer
        assert producer is not None
        by_partition: dict[tuple[str, int], list[Event]] = defaultdict(list)
        try:
            for letter in letters:
                if letter.topic not in self._partitions:
                    self._partitions[letter.topic] = len(await producer.partitions_for(letter.topic))
                number = partition_for(letter.event.key, self._partitions[letter.topic])
                by_partition[letter.topic, number].append(letter.event)
            sending = (_send(producer, *place, events) for place, events in by_partition.items())
            # not wait_for: it leaves the exception of a cancelled gather unread, and the loop logs that
            async with asyncio.timeout(_SEND_SECONDS):
                await asyncio.gather(*sending)
        except (KafkaError, TimeoutError) as error:
            raise LocalError(
                f"the broker at {self._address} did not acknowledge: {type(error).__name__} {error}".strip(),
                todo="send the same file again: what arrived already has no effect a second time",
            ) from error
        return len(letters)


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, events: Sequence[Event]) -> None:
    acknowledged = []
    batch = producer.create_batch()
    for event in events:
        value, headers = encode(event)
        record = {"key": event.key.encode(), "value": value, "timestamp": None, "headers": headers}
        if batch.append(**record) is None:
            batch.close()
            acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(**record)
    batch.close()
    acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*acknowledged)
