"""A lane that has nothing to do, and what is said of it by whoever gives up waiting."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from tests.support.rig import Rig, first_lane
from tests.support.tally import credit
from tests.support.waiting import eventually


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, int]]:
    """Every poll: the consumer, and milliseconds that it waits for something to come."""
    asked: list[tuple[object, int]] = []
    getmany = AIOKafkaConsumer.getmany

    async def noted(consumer: AIOKafkaConsumer, *partitions: Any, timeout_ms: int = 0, **options: Any) -> Any:
        asked.append((consumer, timeout_ms))
        return await getmany(consumer, *partitions, timeout_ms=timeout_ms, **options)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", noted)
    return asked


async def test_an_idle_lane_waits_a_second_for_something_to_come(rig: Rig, polls: list[tuple[object, int]]) -> None:
    """FastStream's own way of waiting woke it up 50 times a second."""
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        await eventually(lambda: len([one for one, _ in polls if one is lane.consumer]) > 2)
        assert {waits for one, waits in polls if one is lane.consumer} == {1000}
        await rig.send(credit("v1", 5))
        await eventually(lambda: rig.total("v1"))


async def test_who_gives_up_waiting_says_where_each_lane_stands(rig: Rig) -> None:
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        await rig.send(credit("v1", 5))
        await eventually(lambda: rig.total("v1"))
        with pytest.raises(
            AssertionError, match=rf"within 0.1 s; last: False\n  lane {lane.member}: ready, 0 failures"
        ):
            await eventually(lambda: False, 0.1)
