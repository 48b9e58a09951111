"""Up to which moment partitions are heard, by a clock that may be set back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition

from services.chassis.lanes.heard import HeardPartitions
from tests.support.clocks import HandClock

START = datetime(2026, 7, 6, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PLACE, OTHER = TopicPartition("events.v1", 3), TopicPartition("events.v1", 4)


def test_a_partition_is_heard_up_to_the_moment_at_which_its_end_was_taken() -> None:
    clock = HandClock(START)
    heard = HeardPartitions(clock)
    assert heard.to(PLACE, START) is None
    assert heard.asked == {PLACE}
    heard.take([(PLACE, 9)], heard.now())
    assert not heard.asked
    assert list(heard.listening) == [PLACE]
    clock.moment += SECOND
    heard.reached(PLACE, START)
    assert heard.to(PLACE, START) == START
    assert heard.to(PLACE, START + SECOND) is None
    assert heard.asked == {PLACE}


def test_a_clock_that_was_set_back_makes_nothing_heard_that_came_after_it() -> None:
    clock = HandClock(START + 3 * SECOND)
    heard = HeardPartitions(clock)
    heard.to(PLACE, START)
    heard.to(OTHER, START)
    heard.take([(OTHER, 9)], heard.now())
    began = heard.listening
    heard.reached(PLACE, heard.now())
    clock.moment = START
    assert heard.to(PLACE, START) is None, "heard by the clock of before"
    assert heard.asked == {PLACE, OTHER}, "and the end of the other is taken anew"
    assert heard.listening is not began, "a look that began before says nothing"
