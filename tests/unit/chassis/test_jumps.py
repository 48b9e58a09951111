"""Offsets that are missing from a log: believed once the log has proved whole, however many partitions have some."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from services.chassis.base.settings import Settings
from services.chassis.batch.processing import Processor
from services.chassis.lanes.consuming import Lane
from services.chassis.service import Stream

PLACES = [TopicPartition("topic", number) for number in range(8)]


def record(tp: TopicPartition, offset: int) -> ConsumerRecord[Any, Any]:
    return cast(
        "ConsumerRecord[Any, Any]",
        SimpleNamespace(
            topic=tp.topic,
            partition=tp.partition,
            offset=offset,
            timestamp=0,
            timestamp_type=0,
            key=b"",
            headers=(),
            value=b"",
        ),
    )


class Reading(Lane):
    """A lane that has all places from the beginning, and counts how often it looks at the log again."""

    def __init__(self) -> None:
        processor = cast("Processor", SimpleNamespace(settings=Settings()))
        super().__init__(processor, Stream("group", (), frozenset()), "", cast("Any", None), print, print)
        self._next = dict.fromkeys(PLACES, 0)
        self.looks = 0

    @property
    def consumer(self) -> Any:
        return SimpleNamespace(assignment=lambda: set(PLACES))

    async def _reread(self, raw: Sequence[ConsumerRecord[Any, Any]]) -> None:
        self.looks += 1

    async def offsets(self, raw: list[ConsumerRecord[Any, Any]]) -> list[int]:
        kept, _ = await self._expected(raw)
        return [one.offset for one in kept]


@pytest.fixture
def lane() -> Reading:
    return Reading()


async def test_marks_in_many_partitions_at_once_cost_one_look_at_the_log(lane: Reading) -> None:
    """Each partition's jump made the one before it surprising again: with eight of them 255 looks, and 15 s were up."""
    behind_marks = [record(tp, 2) for tp in PLACES]
    assert await lane.offsets(behind_marks) == []
    assert await lane.offsets(behind_marks) == [2] * 8
    assert lane.looks == 1


async def test_a_jump_that_was_believed_is_surprising_again_at_another_place(lane: Reading) -> None:
    place = PLACES[0]
    await lane.offsets([record(place, 2)])
    assert await lane.offsets([record(place, 2)]) == [2]
    lane._next[place] = 3
    assert await lane.offsets([record(place, 9)]) == []
    assert lane.looks == 2


async def test_a_record_before_the_stored_offset_is_never_believed(lane: Reading) -> None:
    place = PLACES[0]
    lane._next[place] = 5
    assert await lane.offsets([record(place, 4)]) == []
    assert await lane.offsets([record(place, 4)]) == []
    assert lane.looks == 2


async def test_a_jump_inside_a_batch_is_a_surprise_too(lane: Reading) -> None:
    place = PLACES[0]
    torn = [record(place, 0), record(place, 4)]
    assert await lane.offsets(torn) == []
    assert await lane.offsets(torn) == [0, 4]
    assert lane.looks == 1
