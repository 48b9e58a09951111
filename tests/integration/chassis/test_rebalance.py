"""A partition is taken away while a batch of it is under way, or given away in an orderly stop."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.chassis.batch.live import LiveBatches
from services.chassis.lanes.consuming import Lane
from services.chassis.log.positions import FenceLost
from services.chassis.process.runtime import Runtime
from tests.support.rig import Rig, first_lane
from tests.support.tally import credit
from tests.support.waiting import eventually


def _all_of(rig: Rig) -> list[TopicPartition]:
    return [TopicPartition(rig.tally.inlet.name, number) for number in range(rig.tally.inlet.partitions)]


async def _ready(runtime: Runtime) -> tuple[Lane, LiveBatches]:
    lane = await first_lane(runtime)
    assert lane._batches is not None
    return lane, lane._batches


def _when_it_writes(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    write = runtime.processor.write

    async def wrapped(*given: Any) -> None:
        await write(*given)
        await act()

    monkeypatch.setattr(runtime.processor, "write", wrapped)


async def test_a_partition_lost_while_its_batch_commits_is_not_kept(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen under the fault matrix: the batch entered it again, every later look at the lag raised, and the instance
    was neither healthy nor fast until it got that partition back.
    """
    async with rig.running() as runtime:
        lane, batches = await _ready(runtime)
        _when_it_writes(runtime, monkeypatch, lambda: lane.on_partitions_revoked(_all_of(rig)))
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.total("v"))
        await eventually(lambda: not batches.next)
        monkeypatch.undo()
        batches.next[TopicPartition(rig.tally.inlet.name, 99)] = 0
        assert (await runtime.health())["ready"]


async def test_a_partition_lost_between_fetch_and_transaction_is_fenced_and_not_a_fault(rig: Rig) -> None:
    """Seen under the fault matrix as a KeyError, and the batch was halved and decided again for nothing."""
    async with rig.running() as runtime:
        _, batches = await _ready(runtime)
        place = _all_of(rig)[0]
        del batches.next[place]
        with pytest.raises(FenceLost):
            await batches._commit([_Candidate(place)], batches.next)  # type: ignore[list-item]


@pytest.mark.real_kafka
async def test_an_instance_that_stops_in_order_leaves_its_partitions_to_the_other_at_once(rig: Rig) -> None:
    """As a static member it stayed in the group, and they lay idle until its session was over."""
    everything = set(_all_of(rig))
    async with rig.running() as stays:
        async with rig.running() as goes:
            shared = partial(_between, everything, stays, goes)
            await eventually(shared)
        assert await _members(rig) == 1
        await eventually(lambda: stays.lanes[0].consumer.assignment() == everything)
        await rig.send(*[credit(f"v{n}", 1) for n in range(40)])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 40 FROM total"))


def _between(everything: set[TopicPartition], *running: Runtime) -> bool:
    consumers = [lane.consumer for runtime in running for lane in runtime.lanes]
    if len(consumers) < len(running) or None in consumers:
        return False
    shares = [set(consumer.assignment()) for consumer in consumers]
    return all(shares) and set().union(*shares) == everything


async def _members(rig: Rig) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.settings.kafka)
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([rig.tally.group])
        return len(answer.to_object()["groups"][0]["members"])
    finally:
        await admin.close()


class _Candidate:
    def __init__(self, place: TopicPartition) -> None:
        self.record = place
