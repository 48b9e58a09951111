"""When nothing is under way any more: the end of a log is after its last message, whatever broker is asked."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from contracts.envelope import Event
from contracts.messages.operations import OperatorActed
from contracts.topics import IDENTITY_COMMANDS, OPERATIONS_EVENTS, all_topics, service_source
from deploy.operate.backup.acts import acts_since
from deploy.operate.backup.manifest import Database
from deploy.operate.ends import TopicEnds
from deploy.operate.lines import Letter
from deploy.operate.ports import free_port
from deploy.operate.publishing import Publisher
from deploy.operate.topics import ensure_topics
from deploy.tryout.demo.books import Books
from deploy.tryout.demo.quiet import Quiet
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.broker_embedded import EmbeddedBroker, missing
from services.chassis.base.migrations import migrate
from services.chassis.base.settings import Settings
from services.identity.service import build
from tests.conftest import NewDatabase

BATCH = 400
MOMENT = datetime(2026, 8, 15, 10, 30, tzinfo=UTC)


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Broker]:
    """The demo's own broker, whatever the session has chosen."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    broker = EmbeddedBroker(tmp_path, free_port())
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def publish_as_one_batch(broker: Broker, place: TopicPartition, count: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        batch = producer.create_batch()
        for number in range(count):
            batch.append(key=b"k", value=f"message {number}".encode(), timestamp=None)
        batch.close()
        await (await producer.send_batch(batch, place.topic, partition=place.partition))
    finally:
        await producer.stop()


async def ends_after_batches_of(counts: tuple[int, ...], broker: Broker, topic: str) -> list[int]:
    """Publish one batch after the other on the first of three partitions, a single message on the last."""
    await ensure_topics(broker.address, [replace(IDENTITY_COMMANDS, name=topic, partitions=3)])
    places = [TopicPartition(topic, number) for number in range(3)]
    for count in counts:
        await publish_as_one_batch(broker, places[0], count)
    await publish_as_one_batch(broker, places[2], 1)
    async with TopicEnds(broker.address) as ends:
        found = await ends.of(places)
    return [found[place] for place in places]


async def test_the_embedded_broker_told_the_begin_of_a_batch_of_400_as_the_end(embedded: Broker) -> None:
    assert await ends_after_batches_of((BATCH,), embedded, "one-batch") == [BATCH, 0, 1]
    assert await ends_after_batches_of((7, BATCH, 30), embedded, "three-batches") == [BATCH + 37, 0, 1]


async def test_the_ends_are_right_on_the_broker_of_this_session(broker: Broker, unique: Callable[[str], str]) -> None:
    assert await ends_after_batches_of((7, BATCH), broker, unique("ends")) == [BATCH + 7, 0, 1]


async def test_a_restored_database_is_told_all_acts_of_one_batch_and_of_the_batches_before(embedded: Broker) -> None:
    await ensure_topics(embedded.address, [OPERATIONS_EVENTS])
    written = [f"opportunities.commands.v1/5/{number}" for number in range(BATCH + 7)]
    async with Publisher(embedded.address) as publisher:
        for portion in (written[:7], written[7:]):
            await publisher.publish([_act(about) for about in portion])
    one = Database(
        file="x.dump", bytes=1, sha256="0" * 64, owner="x", taken_at=MOMENT, server="18.6", pg_dump="18.6",
        service=True, migrations=[], consumed=[], said=[], rows={},
    )  # fmt: skip
    found = await acts_since(embedded.address, {"opportunities": one, "bridge": one})
    assert [act.about for act in found["opportunities"]] == written
    assert found["bridge"] == []


def _act(about: str) -> Letter:
    act = OperatorActed(service="opportunities", act="release", about=about, operator="mei", at=MOMENT)
    return Letter(OPERATIONS_EVENTS.name, Event(str(uuid.uuid4()), service_source("opportunities"), MOMENT, act))


async def test_a_step_was_over_while_399_messages_of_one_batch_were_still_unread(
    embedded: Broker, new_database: NewDatabase
) -> None:
    dsn = await new_database()
    await migrate(dsn, build(Settings(profile="test")).migrations)
    await ensure_topics(embedded.address, all_topics([]))
    place = TopicPartition(IDENTITY_COMMANDS.name, 3)
    await publish_as_one_batch(embedded, place, BATCH)
    async with (
        Books({"identity": dsn}, {}, {}) as books,
        Quiet(books, {"identity": dsn}, embedded.address, died=lambda: None) as quiet,
    ):
        for read in (0, 1, BATCH - 1, BATCH):
            # As the chassis stores it: identity has applied the batch up to here.
            await books.fetch(
                "identity",
                "INSERT INTO consumed VALUES ('identity', $1, $2, $3) "
                "ON CONFLICT (grp, topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                place.topic,
                place.partition,
                read,
            )
            look = await quiet.look()
            assert look.work["identity", "unread"] == BATCH - read
            assert look.total(waiting=True) == BATCH - read
