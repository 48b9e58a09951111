"""The settings of every Kafka client, in one place, so that a test can assert what is really in effect (DESIGN §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.topics import TopicEntry
from services.chassis.settings import Settings

__all__ = [
    "METADATA_AGE_MS",
    "BrokerUnreachable",
    "PartitionDrift",
    "beginnings",
    "check_partitions",
    "consumer_options",
    "new_producer",
    "new_reader",
    "wait_for_broker",
]

METADATA_AGE_MS = 30_000
"""So old at most is what a running consumer knows of its topics: it stops so soon after one got more partitions."""


class PartitionDrift(RuntimeError):
    """A topic has another number of partitions than the contract says, or is missing; keys would change places."""


class BrokerUnreachable(RuntimeError):
    """No broker answers at the address given."""


def consumer_options(settings: Settings, member: str) -> dict[str, Any]:
    """Options of every subscriber. Group start on the embedded broker takes as long as its session (libraries §1.1)."""
    embedded = settings.embedded_broker
    return {
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "session_timeout_ms": 2000 if embedded else 6000,
        "heartbeat_interval_ms": 500 if embedded else 2000,
        "max_poll_interval_ms": 300_000,
        "group_instance_id": None if embedded else member,
        "max_partition_fetch_bytes": 4 * 1024 * 1024,
        "fetch_max_wait_ms": 100,
    }


def new_producer(settings: Settings, client: str) -> AIOKafkaProducer:
    """The relay's producer; nothing else produces. Idempotence fails on the embedded broker (libraries.md §1.1)."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        client_id=client,
        acks="all",
        enable_idempotence=not settings.embedded_broker,
        linger_ms=0,
        max_batch_size=256 * 1024,
        max_request_size=1024 * 1024,
        request_timeout_ms=15_000,
    )


def new_reader(settings: Settings, client: str) -> AIOKafkaConsumer:
    """A consumer without a group, for reading at given places."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        client_id=client,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # The embedded broker has no transactions, and tells a stable offset that lags behind its log.
        isolation_level="read_uncommitted" if settings.embedded_broker else "read_committed",
        fetch_max_wait_ms=100,
    )


async def wait_for_broker(settings: Settings, seconds: float = 30.0) -> None:
    """Return once the broker answers.

    Raises ``BrokerUnreachable`` after ``seconds``.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, client_id="shuangcheng-check")
        try:
            await admin.start()
        except KafkaError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise BrokerUnreachable(
                    f"no Kafka broker answers at {settings.kafka} ({error}); set SHUANGCHENG_KAFKA to one that runs"
                ) from None
            await asyncio.sleep(0.5)
        else:
            return
        finally:
            await admin.close()


async def check_partitions(settings: Settings, entries: Iterable[TopicEntry]) -> None:
    """Compare the log's partition counts with the contract's.

    Raises ``PartitionDrift``.
    """
    expected = {entry.name: entry.partitions for entry in entries}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, client_id="shuangcheng-check")
    await admin.start()
    try:
        described = await admin.describe_topics(list(expected))
    finally:
        await admin.close()
    found = {topic["topic"]: len(topic["partitions"]) for topic in described}
    for name, partitions in expected.items():
        if found.get(name, 0) != partitions:
            what = f"has {found[name]} partitions" if found.get(name) else "does not exist"
            raise PartitionDrift(
                f"topic {name} {what}, the contract says {partitions}; run the topics job (shuangcheng topics), "
                "or move to a new topic version: counts never change"
            )


async def beginnings(reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Where each partition's log begins."""
    offsets: Mapping[TopicPartition, int] = await reader.beginning_offsets(list(partitions))
    return offsets
