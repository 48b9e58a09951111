"""A topic or partition that takes nothing holds up its own rows and no others; its own go out in order later."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError

from contracts.partitioner import partition_for
from contracts.topics import TopicEntry
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.clock import Clock
from services.chassis.base.persistent import cancel_all
from services.chassis.batch import outbox
from services.chassis.batch.outbox import OutboxRow
from services.chassis.log.records import pack_texts
from services.chassis.outgoing import sending
from services.chassis.outgoing import stuck as stuck_module
from services.chassis.outgoing.relay import Relay
from services.chassis.outgoing.stuck import Stuck
from tests.support.rig import Rig
from tests.support.second_node import SecondNode
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def relaying(rig: Rig) -> AsyncIterator[Relay]:
    """A relay of the rig's outbox, alone."""
    one = Relay(rig.settings, "tally", Clock())
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        await cancel_all([task])


@contextlib.asynccontextmanager
async def admin(rig: Rig) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=rig.settings.kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def write(rig: Rig, topic: str, count: int, *, first: int = 0, size: int = 0) -> None:
    """Rows of ten keys, whose values are numbers in the order they were written."""
    values = [str(first + number).encode().ljust(size) for number in range(count)]
    rows = [OutboxRow(topic, f"key-{at % 10}", pack_texts([("a", "b")]), value) for at, value in enumerate(values)]
    await outbox.append(rig.db, rows)


async def left(rig: Rig, topic: str) -> int:
    return int(await rig.db.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", topic))


async def by_key(rig: Rig, topic: str, count: int) -> dict[bytes, list[int]]:
    """What a topic holds, by key in order; the first sighting of each, since the relay may repeat."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=rig.settings.kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[bytes, dict[int, None]] = defaultdict(dict)
    try:
        while sum(map(len, found.values())) < count:
            record: Any = await asyncio.wait_for(consumer.getone(), 120)
            found[record.key][int(record.value)] = None
    finally:
        await consumer.stop()
    return {key: list(values) for key, values in found.items()}


async def in_order(rig: Rig, topic: str, count: int) -> bool:
    found = await by_key(rig, topic, count)
    assert len(found) == 10
    return all(values == sorted(values) for values in found.values())


async def test_a_missing_topic_holds_up_its_own_rows_alone_and_they_go_out_in_order_once_it_is_there(
    rig: Rig, unique: Callable[[str], str]
) -> None:
    """Seen: a registry's refusals were deleted, and the other registry's 20 commands stood in the outbox."""
    missing = unique("missing")
    await write(rig, missing, 1500)  # more than one read takes
    await write(rig, rig.tally.outlet.name, 20)
    async with relaying(rig) as one:
        await eventually(lambda: nothing_left(rig, rig.tally.outlet.name))
        assert [(trouble["topic"], trouble["partition"]) for trouble in one.trouble] == [(missing, None)]
        assert one.leading
        assert await left(rig, missing) == 1500
        await write(rig, missing, 10, first=1500)
        await write(rig, rig.tally.outlet.name, 20, first=20)
        await eventually(lambda: nothing_left(rig, rig.tally.outlet.name))
        entry = TopicEntry(missing, "volunteer_ref", "tally", (), rig.tally.outlet.legs, "out", 4)
        await ensure_topics(rig.settings.kafka, [entry])
        await eventually(lambda: nothing_left(rig, missing))
        await eventually(lambda: not one.trouble)
    assert await in_order(rig, missing, 1510)
    assert await in_order(rig, rig.tally.outlet.name, 40)


async def nothing_left(rig: Rig, topic: str) -> bool:
    return await left(rig, topic) == 0


@pytest.mark.real_kafka
async def test_a_topic_deleted_under_a_running_relay_is_found_missing_and_heals(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_SECONDS", 2.0)
    gone = rig.tally.inlet
    async with relaying(rig) as one, admin(rig) as client:
        await write(rig, gone.name, 10)
        await eventually(lambda: nothing_left(rig, gone.name))
        await client.delete_topics([gone.name])
        await write(rig, gone.name, 100)
        await write(rig, rig.tally.outlet.name, 20)
        await eventually(lambda: one.trouble)
        await eventually(lambda: nothing_left(rig, rig.tally.outlet.name))
        assert {trouble["topic"] for trouble in one.trouble} == {gone.name}
        await ensure_topics(rig.settings.kafka, [gone])
        await eventually(lambda: nothing_left(rig, gone.name))
    assert await in_order(rig, gone.name, 100)


@pytest.mark.real_kafka
async def test_a_partition_without_a_leader_or_with_too_few_copies_holds_up_no_other_and_heals(
    rig: Rig, broker: Broker, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_SECONDS", 2.0)
    leaderless, few = unique("leaderless"), unique("few")
    node = SecondNode.beside(broker, tmp_path / "node", monkeypatch)
    await node.start()
    try:
        async with admin(rig) as client:
            await eventually(lambda: create(client, NewTopic(leaderless, -1, -1, replica_assignments={0: [1], 1: [2]})))
            copies = {"min.insync.replicas": "2"}
            made = NewTopic(few, -1, -1, replica_assignments={0: [1, 2]}, topic_configs=copies)
            await eventually(lambda: create(client, made))
        await node.kill()
        for topic in (leaderless, few):
            await write(rig, topic, 600)
        await write(rig, rig.tally.outlet.name, 20)
        async with relaying(rig) as one:
            await eventually(lambda: nothing_left(rig, rig.tally.outlet.name))
            await eventually(lambda: len(one.trouble) == 2)
            places = [(trouble["topic"], trouble["partition"]) for trouble in one.trouble]
            assert places == [(few, 0), (leaderless, 1)]
            held = await rig.db.fetch("SELECT DISTINCT key FROM outbox WHERE topic = $1", leaderless)
            assert {partition_for(row["key"], 2) for row in held} == {1}
            await eventually(lambda: "no leader" in [trouble["reason"] for trouble in one.trouble])
            await write(rig, leaderless, 100, first=600)
            await node.restart()
            await eventually(lambda: nothing_left(rig, leaderless))
            await eventually(lambda: nothing_left(rig, few))
            await eventually(lambda: not one.trouble)
        assert await in_order(rig, leaderless, 700)
        assert await in_order(rig, few, 600)
    finally:
        await node.stop()


async def create(client: AIOKafkaAdminClient, topic: NewTopic) -> bool:
    """Whether it was made; not before the second node is known everywhere."""
    response = await client.create_topics([topic])
    return all(error[1] == 0 for error in response.topic_errors)


@pytest.mark.real_kafka
async def test_a_topic_that_takes_smaller_batches_gets_its_rows_one_by_one(
    rig: Rig, unique: Callable[[str], str]
) -> None:
    topic = unique("small")
    async with admin(rig) as client:
        await client.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "4000"})])
    await write(rig, topic, 30, size=1000)
    async with relaying(rig) as one:
        await eventually(lambda: nothing_left(rig, topic))
        assert not one.trouble
        # a row that is too large by itself holds up its own partition
        await write(rig, topic, 1, size=9000)
        await write(rig, rig.tally.outlet.name, 20)
        await eventually(lambda: one.trouble)
        await eventually(lambda: nothing_left(rig, rig.tally.outlet.name))
        assert "MessageSizeTooLarge" in one.trouble[0]["reason"]
    assert await in_order(rig, topic, 30)


async def test_who_leads_next_tries_again_what_its_predecessor_marked(rig: Rig) -> None:
    await write(rig, rig.tally.outlet.name, 20)
    await rig.db.execute("UPDATE outbox SET stuck = $1", sending.WHOLE_TOPIC)
    async with relaying(rig):
        await eventually(lambda: nothing_left(rig, rig.tally.outlet.name))


async def test_rows_of_a_topic_that_was_missing_overtake_no_older_row_of_a_stuck_partition(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic that vanishes has rows of both kinds: those sent to a partition before, and those read afterwards."""
    monkeypatch.setattr(stuck_module, "_SHORTEST_BACKOFF", 0.0)  # both are due at the first look
    topic = rig.tally.outlet.name
    partition = partition_for("key-0", rig.tally.outlet.partitions)
    stuck = Stuck(rig.settings)
    await stuck.begin(rig.db)
    for number, place in enumerate([(topic, partition), (topic, sending.WHOLE_TOPIC)]):
        await outbox.append(rig.db, [OutboxRow(topic, "key-0", pack_texts([]), str(number).encode())])
        rows = await rig.db.fetch("SELECT id FROM outbox WHERE stuck IS NULL")
        stuck.add(place, "the topic does not exist")
        await stuck.mark(rig.db, {place: rows})

    async def looked() -> bool:
        await stuck.look(rig.db)
        return not stuck.troubles

    await eventually(looked)
    async with relaying(rig):
        await eventually(lambda: nothing_left(rig, topic))
    assert await by_key(rig, topic, 2) == {b"key-0": [0, 1]}


async def test_a_place_whose_rows_somebody_deleted_is_forgotten_beside_a_trial_that_fails(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed trial's reason was noted for the forgotten place too, and that ended the relay's session."""

    async def fails(*_: Any) -> Any:
        raise KafkaConnectionError

    monkeypatch.setattr(stuck_module, "_try", fails)
    places = [("deleted", 0), ("still-there", 0)]
    stuck = Stuck(rig.settings)
    await outbox.append(rig.db, [OutboxRow("still-there", "key", pack_texts([]), b"1")])
    for place in places:
        stuck.add(place, "no leader")
    await stuck.mark(rig.db, {places[1]: await rig.db.fetch("SELECT id FROM outbox")})

    async def noted() -> bool:
        await stuck.look(rig.db)
        return any("KafkaConnectionError" in trouble["reason"] for trouble in stuck.troubles)

    await eventually(noted)
    assert [trouble["topic"] for trouble in stuck.troubles] == ["still-there"]
    await stuck.end()
