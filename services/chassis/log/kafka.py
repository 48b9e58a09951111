"""The settings of every Kafka client, in one place, so that a test can assert what is really in effect."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER

from contracts.limits import MAX_BATCH_BYTES
from contracts.topics import TopicEntry
from services.chassis.base.backoff import Backoff
from services.chassis.base.faults import CannotStart
from services.chassis.base.settings import Settings
from services.chassis.log import batches

__all__ = [
    "METADATA_AGE_MS",
    "BrokerUnreachable",
    "PartitionDrift",
    "beginnings",
    "check_partitions",
    "consumer_options",
    "ends",
    "keep_raw",
    "lacking",
    "lag",
    "leaders",
    "leave_on_stop",
    "led",
    "new_producer",
    "no_decoding",
    "open_reader",
    "partition_counts",
    "reading_ended",
    "static_name",
    "wait_for_log",
]

_END_SECONDS: Final = 10.0
_SHORTEST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 1.0

batches.install()

METADATA_AGE_MS = 30_000
"""The greatest age of a running consumer's knowledge of its topics: it notices new partitions within this time."""


class PartitionDrift(CannotStart):
    """A topic has another number of partitions than the contract says, or is missing; keys would change places."""


class BrokerUnreachable(CannotStart):
    """No broker answers at the address given."""


def consumer_options(settings: Settings, member: str) -> dict[str, Any]:
    """Options of every subscriber. Group start on the embedded broker takes as long as its session."""
    embedded = settings.embedded_broker
    return {
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "session_timeout_ms": 2000 if embedded else 6000,
        "heartbeat_interval_ms": 500 if embedded else 2000,
        "max_poll_interval_ms": 300_000,
        "group_instance_id": None if embedded else member,
        # A batch, and what the broker's own default allows beyond it: so many bytes of each partition are in memory.
        "max_partition_fetch_bytes": MAX_BATCH_BYTES + 1024,
        # Kafka answers as soon as a record comes; the embedded broker waits for a part of this time.
        "fetch_max_wait_ms": 200 if embedded else 500,
    }


def static_name(member: str, topics: Iterable[TopicEntry]) -> str:
    """The name of a static member in its group, which follows from its topics.

    A static member that comes back gets its old partitions, even if it reads other topics now. A version with other
    topics would fail at the old partitions or never get its new ones. So it is another member.
    """
    names = ",".join(sorted(entry.name for entry in topics))
    return f"{member}-{zlib.crc32(names.encode()):08x}"


async def keep_raw(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """A subscriber's parser that leaves records as they came."""
    # FastStream's own decodes headers and drops the whole batch when one is not UTF-8.
    return KafkaMessage(
        body=b"", headers={}, raw_message=records, consumer=FAKE_CONSUMER, message_id="", correlation_id="raw"
    )


async def no_decoding(message: KafkaMessage) -> Any:
    """A subscriber's decoder: the records that ``keep_raw`` kept."""
    return message.raw_message


def new_producer(settings: Settings, client: str) -> AIOKafkaProducer:
    """The relay's producer; nothing else produces. The embedded broker has no idempotence."""
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


def leave_on_stop(consumer: AIOKafkaConsumer) -> None:
    """Make this consumer leave its group when it stops, so that others take its partitions at once.

    aiokafka does not do so for static members: their partitions would lie idle until the session is over.
    """
    # There is no public way; the broker knows the member by its id alone. A test looks at the group afterwards.
    consumer._coordinator._group_instance_id = None


async def open_reader(settings: Settings, client: str, partitions: Iterable[TopicPartition]) -> AIOKafkaConsumer:
    """A running consumer without a group, for reading these partitions at given places; all of them are paused.

    The caller stops it. At least one partition: a reader that was never assigned anything hangs in ``stop()``.
    """
    reader = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        client_id=client,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # The embedded broker has no transactions, and its stable offset lags behind its log.
        isolation_level="read_uncommitted" if settings.embedded_broker else "read_committed",
        fetch_max_wait_ms=100,
        metadata_max_age_ms=METADATA_AGE_MS,
    )
    places = list(partitions)
    reader.assign(places)
    reader.pause(*places)  # otherwise the reader would fetch each of them from its beginning
    try:
        await reader.start()
    except BaseException:
        await reader.stop()
        raise
    return reader


def led(reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
    """The partitions, of those given, that are not known to lack a leader. A question for the offsets of a partition
    without a leader hangs, and with it the question for all other partitions asked for at once.
    """
    # The client has no public way to ask what it knows of its partitions.
    return {tp for tp in partitions if reader._client.cluster.leader_for_partition(tp) != -1}


async def wait_for_log(settings: Settings, entries: Iterable[TopicEntry], seconds: float = 30.0) -> None:
    """Compare the log's partition counts with the contract's, as soon as a broker answers.

    Raises ``PartitionDrift``, and ``BrokerUnreachable`` after ``seconds``.
    """
    topics = list(entries)
    deadline = asyncio.get_running_loop().time() + seconds
    backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF)
    while True:
        try:
            return await check_partitions(settings, topics)
        except KafkaError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise BrokerUnreachable(
                    f"no Kafka broker answers at {settings.kafka} ({error}); set SHUANGCHENG_KAFKA to one that runs"
                ) from None
            backoff.failed()
            await backoff.wait()


async def partition_counts(settings: Settings) -> dict[str, int]:
    """How many partitions each topic has that there is. Creates nothing, whatever the broker is set to."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, client_id="shuangcheng-check")
    try:
        await admin.start()
        # All topics: where topics are made automatically, a question for one topic by name makes it.
        described = await admin.describe_topics()
    finally:
        await admin.close()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


async def check_partitions(settings: Settings, entries: Iterable[TopicEntry]) -> None:
    """Compare the log's partition counts with the contract's. Creates nothing.

    Raises ``PartitionDrift``.
    """
    expected = {entry.name: entry.partitions for entry in entries}
    found = await partition_counts(settings)
    for name, partitions in expected.items():
        if found.get(name, 0) != partitions:
            what = f"has {found[name]} partitions" if found.get(name) else "does not exist"
            raise PartitionDrift(
                f"topic {name} {what}, the contract says {partitions}; run the topics job (shuangcheng topics), "
                "or move to a new topic version: counts never change"
            )


async def leaders(producer: AIOKafkaProducer) -> dict[str, dict[int, bool]]:
    """All topics with their partitions, and whether each has a leader. Creates nothing.

    Raises ``KafkaError`` when no broker answers.
    """
    cluster = await producer.client.fetch_all_metadata()  # all topics, as above
    return {
        topic: {
            partition: cluster.leader_for_partition(TopicPartition(topic, partition)) not in (None, -1)
            for partition in cluster.partitions_for_topic(topic) or ()
        }
        for topic in cluster.topics(exclude_internal_topics=False)
    }


def lacking(found: Mapping[str, Mapping[int, bool]], topic: str, partition: int | None) -> str | None:
    """Why a topic, or one of its partitions, cannot be written to; None if it can."""
    if not found.get(topic):
        return "the topic does not exist, or may not be seen; run the topics job (shuangcheng topics)"
    if partition is not None and not found[topic].get(partition):
        return "no leader"
    return None


def reading_ended(consumer: AIOKafkaConsumer) -> BaseException | None:
    """The error that ended the client's own reading in the background. The client then gives no more records, tells
    nobody, and knows no lag either."""
    task: asyncio.Future[None] = consumer._fetcher.error_future  # there is no public way
    return task.exception() if task.done() and not task.cancelled() else None


def lag(consumer: AIOKafkaConsumer, following: Mapping[TopicPartition, int]) -> int:
    """Messages from these offsets on, in the partitions that the consumer has, as far as it knows their ends."""
    behind = 0
    for tp in following.keys() & consumer.assignment():  # highwater() raises for any other
        at = batches.behind_empty(tp, following[tp])  # the marks of transactions are never applied
        behind += max(0, (consumer.highwater(tp) or at) - at)
    return behind


async def beginnings(reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Where each partition's log begins."""
    offsets: Mapping[TopicPartition, int] = await reader.beginning_offsets(list(partitions))
    return offsets


async def ends(
    reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition], *, by_fetch: bool
) -> dict[TopicPartition, int]:
    """Where each partition's log ends: the offset that its next message will have.

    ``reader`` has no group, and these partitions are assigned and paused; its positions afterwards mean nothing.
    ``by_fetch`` is for the embedded broker. Its answer to a question for ends is the begin of the last batch plus one,
    but the high watermark beside a fetch is the end. So the last batch is fetched.

    Raises ``TimeoutError`` and ``KafkaError``.
    """
    places = list(partitions)
    found: dict[TopicPartition, int] = await reader.end_offsets(places)
    if not by_fetch:
        return found
    begins = await reader.beginning_offsets(places)
    waiting = {tp for tp in places if found[tp] > begins[tp]}
    for tp in waiting:
        reader.seek(tp, found[tp] - 1)  # this drops records that were fetched before, so the watermark is new
        reader.resume(tp)
    deadline = asyncio.get_running_loop().time() + _END_SECONDS
    while waiting:
        for tp in await reader.getmany(*waiting, timeout_ms=200):
            found[tp] = max(found[tp], reader.highwater(tp) or 0)
            reader.pause(tp)
            waiting.discard(tp)
        if waiting and asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"the end of {waiting.pop()} was not told within {_END_SECONDS:.0f} s")
    return found
