"""A wait listens to the channels that can bring its fact: what moves on no other ends it, and delays it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.partitioner import partition_for
from deploy.tryout.local.broker import Broker
from tests.support.second_node import SecondNode
from tests.support.tally import credit
from tests.support.two_cities import Cities, two_cities
from tests.support.waiting import eventually

_OVER = "SELECT bool_and(deadline + interval '1 second' < now()) FROM set_aside WHERE reason = 'waiting'"


@pytest.fixture
async def cities(broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Cities]:
    async with two_cities(broker, database, unique("t"), tmp_path) as made:
        yield made


async def alone_waits(cities: Cities) -> bool:
    return await cities.aside() == {"waiting": 1}


async def waiting(cities: Cities) -> int:
    return (await cities.aside()).get("waiting", 0)


async def test_a_wait_ends_though_another_citys_stream_stands_still(cities: Cities) -> None:
    """Seen: one city's poison kept back the refusals of all others, and the end of their pauses."""
    async with cities.running():
        async with cities.standing(cities.tally.other_group):
            await cities.other_says(credit("v-unread", 1))
            await cities.send(credit("wait-own-1", 1))
            await eventually(lambda: cities.tally.refused == 1)
            assert await cities.total("v-unread") is None, "the other one stands"
        await eventually(lambda: cities.total("v-unread"))


async def test_a_wait_ends_though_another_citys_lane_is_not_ready(cities: Cities) -> None:
    """As while its stored offsets cannot be compared with its log."""
    async with cities.running() as runtime:
        await eventually(lambda: len(runtime.lanes) == 2 and all(lane.ready.is_set() for lane in runtime.lanes))
        runtime.lanes[1].ready.clear()
        await cities.send(credit("wait-own-1", 1))
        await eventually(lambda: cities.tally.refused == 1)


async def test_a_fact_that_lies_unread_in_another_city_is_waited_for_where_it_can_bring_it(cities: Cities) -> None:
    """Over a restart, while what waits by its own city alone is refused, though its time is up later."""
    async with cities.running():
        await cities.send(credit("wait-both-1", 3))
        await eventually(lambda: waiting(cities))
    async with cities.standing(cities.tally.other_group):
        await cities.other_says(credit("fact-both", 1))
        await eventually(lambda: cities.db.fetchval(_OVER))
        async with cities.running():
            await cities.send(credit("wait-own-1", 1))
            await eventually(lambda: cities.tally.refused == 1)
            await eventually(lambda: alone_waits(cities))
            assert await cities.db.fetchval(_OVER)
    async with cities.running():
        await eventually(lambda: cities.total("wait-both-1"))
        await eventually(lambda: cities.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    assert cities.tally.refused == 1


async def test_a_wait_by_one_key_ends_though_another_partition_of_its_topic_stands_still(cities: Cities) -> None:
    ref = "wait-key-1"
    own = partition_for(ref, cities.tally.other.partitions)
    stuck = (own + 1) % cities.tally.other.partitions
    async with cities.running():
        await cities.other_says(credit(ref, 1))
        await eventually(lambda: waiting(cities))
        async with cities.standing(cities.tally.other_group, stuck):
            unread = next(n for n in map("v-{}".format, range(100)) if partition_for(n, 4) == stuck)
            await cities.other_says(credit(unread, 1))
            await eventually(lambda: cities.tally.refused == 1)
            assert await cities.total(unread) is None


@pytest.mark.real_kafka
async def test_a_wait_ends_though_another_partition_of_its_topic_has_no_leader(
    cities: Cities, broker: Broker, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To ask such a partition for its end hangs, and with it the question for all that are asked for at once."""
    other = cities.tally.other = replace(cities.tally.other, name=unique("led"))
    node = SecondNode.beside(broker, tmp_path / "node", monkeypatch)
    await node.start()
    own, keyed = (
        next(ref for n in range(99) if partition_for(ref := f"wait-{kind}{n}-1", 4) == 0) for kind in ("own", "key")
    )
    try:
        await eventually(lambda: create_over_two_nodes(broker, other.name))
        async with cities.running() as runtime:
            await eventually(lambda: len(runtime.lanes) == 2 and all(lane.ready.is_set() for lane in runtime.lanes))
            await node.kill()
            await cities.other_says(credit(own, 1), credit(keyed, 1))
            await eventually(lambda: cities.tally.refused == 1)
            await eventually(lambda: alone_waits(cities))
            await node.restart()
            await eventually(lambda: cities.tally.refused == 2)
    finally:
        await node.stop()


async def create_over_two_nodes(broker: Broker, name: str) -> bool:
    """Partitions 2 and 3 are on the second node alone; once that is part of the cluster."""
    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        places = {number: [1 + number // 2] for number in range(4)}
        answer = await client.create_topics([NewTopic(name, -1, -1, replica_assignments=places)])
        return all(error[1] == 0 for error in answer.topic_errors)
    finally:
        await client.close()
