"""Every kind of broker that this machine can run: topics, drift, kill and restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.operate import topics
from deploy.operate.brokers import offers_idempotence
from deploy.operate.errors import TopicDrift
from deploy.operate.topics import ensure_topics
from deploy.tryout.local import broker_docker, broker_embedded, broker_java, brokers, folders
from deploy.tryout.local.broker import Broker
from tests.support.backends import real_kafka_required

MISSING = {"embedded": broker_embedded.missing, "java": broker_java.missing, "docker": broker_docker.missing}


@dataclass(frozen=True)
class Entry:
    """A topic entry of a test."""

    name: str
    partitions: int
    retention_ms: int | None = None
    max_message_bytes: int = 1024 * 1024
    log_time: bool = False


@pytest.fixture(scope="module", params=["embedded", "java", "docker"])
async def own_broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A broker that a test may kill, unlike the session's."""
    reason = await asyncio.to_thread(MISSING[request.param])
    if reason is not None:
        if request.param == "java" and real_kafka_required():
            pytest.fail(f"{reason}; REQUIRE_REAL_KAFKA forbids to skip this")
        pytest.skip(reason)
    folder: Path = await asyncio.to_thread(folders.new_run_folder, "test")
    broker = (await brokers.choose(request.param, folder)).broker
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


async def test_topics_are_created_once(own_broker: Broker, unique: Callable[[str], str]) -> None:
    entries = [Entry(unique("kept"), 6), Entry(unique("short"), 2, retention_ms=3_600_000)]
    first = await ensure_topics(own_broker.address, entries)
    again = await ensure_topics(own_broker.address, entries)
    assert set(first.created) == set(again.present) == {entry.name for entry in entries}
    assert again.created == ()


async def test_a_topic_that_exists_gets_the_limit_of_its_batches_and_keeps_what_else_is_set(
    own_broker: Broker, unique: Callable[[str], str]
) -> None:
    if not own_broker.real_kafka:
        pytest.skip("the embedded broker has no settings of topics")
    name = unique("older")
    older = NewTopic(name, 2, 1, topic_configs={"max.message.bytes": "5000000", "retention.bytes": "77777777"})
    admin = AIOKafkaAdminClient(bootstrap_servers=own_broker.address)
    await admin.start()
    try:
        await admin.create_topics([older])
        entry = Entry(name, 2)
        assert (await ensure_topics(own_broker.address, [entry])).altered == (name,)
        assert (await ensure_topics(own_broker.address, [entry])).altered == ()
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        settings = {key: value for key, value, *_ in answers[0].resources[0][4]}
        assert (settings["max.message.bytes"], settings["retention.bytes"]) == ("1048576", "77777777")
    finally:
        await admin.close()


async def test_a_topic_that_exists_but_is_not_listed_yet_counts_as_there_and_gets_its_limit(
    own_broker: Broker, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not own_broker.real_kafka:
        pytest.skip("the embedded broker has no settings of topics")
    entry = Entry(unique("unlisted"), 2)
    await ensure_topics(own_broker.address, [Entry(entry.name, 2, max_message_bytes=5_000_000)])
    led, looks = topics._partitions, 0

    async def without_a_leader_at_the_first_look(admin: object, names: set[str]) -> dict[str, int]:
        nonlocal looks
        looks += 1
        return {} if looks == 1 else await led(admin, names)

    monkeypatch.setattr(topics, "_partitions", without_a_leader_at_the_first_look)
    report = await ensure_topics(own_broker.address, [entry])
    assert (report.created, report.present, report.altered) == ((), (entry.name,), (entry.name,))
    assert (await ensure_topics(own_broker.address, [entry])).altered == ()


async def test_drift_of_partitions_is_told_and_nothing_is_created(
    own_broker: Broker, unique: Callable[[str], str]
) -> None:
    name, other = unique("drifted"), unique("new")
    await ensure_topics(own_broker.address, [Entry(name, 3)])
    with pytest.raises(TopicDrift) as raised:
        await ensure_topics(own_broker.address, [Entry(name, 4), Entry(other, 1)])
    assert (raised.value.topic, raised.value.expected, raised.value.found) == (name, 4, 3)
    assert other in (await ensure_topics(own_broker.address, [Entry(other, 1)])).created


async def test_it_says_truly_whether_producers_may_be_idempotent(own_broker: Broker) -> None:
    assert await offers_idempotence(own_broker.address) == own_broker.idempotent


async def test_a_given_address_is_asked_what_it_offers(own_broker: Broker) -> None:
    given = (await brokers.choose(own_broker.address, Path())).broker
    await given.start()
    assert (given.kind, given.idempotent) == ("address", own_broker.idempotent)
    await given.stop()
    assert await offers_idempotence(own_broker.address) == own_broker.idempotent, "it was not stopped"


async def test_after_a_kill_it_is_back_on_the_same_address_with_its_data(
    own_broker: Broker, unique: Callable[[str], str]
) -> None:
    topic = unique("survives")
    await ensure_topics(own_broker.address, [Entry(topic, 1)])
    await send(own_broker, topic, b"before")
    pid = own_broker.pid
    await own_broker.kill()
    assert own_broker.pid is None
    await own_broker.restart()
    assert own_broker.pid not in (None, pid)
    await ensure_topics(own_broker.address, [Entry(topic, 1)])
    await send(own_broker, topic, b"after")
    assert await read(own_broker, topic) == ([b"before", b"after"] if own_broker.keeps_data else [b"after"])


async def send(broker: Broker, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.address, acks="all", enable_idempotence=broker.idempotent, request_timeout_ms=20000
    )
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read(broker: Broker, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        found: list[bytes] = []
        while len(found) < end:
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(message.value for message in messages)
        return found
    finally:
        await consumer.stop()
