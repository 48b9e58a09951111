"""What a process decided without a word is told by its next message, whichever lane says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.chassis.batch.passed import Begun, Between, PassedOver, Told, passed_at, read_passed
from services.chassis.log.records import Record
from services.chassis.outgoing.silent import Silent

START = datetime(2026, 7, 6, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(offset: int, topic: str = "events.v1", partition: int = 3) -> Record:
    return Record(topic, partition, offset, 0, b"k", [], b"{}")


PLACE = ("events.v1", 3)


def told(text: str | None) -> Told | None:
    return None if text is None else read_passed(text)


def test_who_speaks_tells_what_was_passed_before_it_in_its_batch_and_nothing_twice() -> None:
    batch = PassedOver(START).begin()
    batch.passes(record(7))
    batch.passes(record(8))
    assert told(batch.told) == Told(START, {PLACE: 9})
    batch.speaks(at(1))
    assert batch.told is None
    batch.passes(record(9))
    assert told(batch.told) == Told(at(1), {PLACE: 10})


def test_a_silent_batch_is_told_of_by_the_next_one_that_speaks() -> None:
    over = PassedOver(START)
    silent = over.begin()
    silent.passes(record(7))
    over.end(silent)
    speaking = over.begin()
    assert told(speaking.told) == Told(START, {PLACE: 8})
    speaking.speaks(at(5))
    over.end(speaking)
    assert over.begin().told is None
    assert over.begin().since == at(5)


def test_what_another_lane_passed_meanwhile_is_not_forgotten_with_what_was_told() -> None:
    over = PassedOver(START)
    speaking = over.begin()
    silent = over.begin()
    silent.passes(record(7))
    over.end(silent)
    speaking.speaks(at(5))
    over.end(speaking)
    assert told(over.begin().told) == Told(at(5), {PLACE: 8})


def test_a_partition_that_came_further_meanwhile_is_told_again() -> None:
    over = PassedOver(START)
    first = over.begin()
    first.passes(record(7))
    over.end(first)
    speaking = over.begin()
    further = over.begin()
    further.passes(record(8))
    over.end(further)
    speaking.speaks(at(5))
    over.end(speaking)
    assert told(over.begin().told) == Told(at(5), {PLACE: 9})


def test_a_header_stays_small_however_many_partitions_there_are() -> None:
    batch = PassedOver(START).begin()
    for partition in range(500):
        batch.passes(record(1, partition=partition))
    read = told(batch.told)
    assert read is not None
    assert len(read.passed) == 100


def test_a_header_that_cannot_be_read_tells_nothing() -> None:
    for text in (
        "",
        "x",
        "1 a/b:c",
        "1 topic",
        "9" * 40 + " t/1:2",
        "1 t/1:",
        "begins",
        "1 begins t/1:2",
        "1 begins t/1:2 then",
        "1 begins x then t/1:2",
    ):
        assert read_passed(text) is None


def test_a_record_was_decided_when_it_was_written_unless_it_was_passed_later() -> None:
    assert passed_at(at(3), Between()) == at(3)
    assert passed_at(at(3), Between(at(1), at(5))) == at(3)
    assert passed_at(at(3), Between(at(9), at(12))) == at(9) + timedelta(microseconds=1)


def test_a_record_that_was_written_by_a_clock_ahead_of_the_services_was_decided_before_the_message_that_tells_it() -> (
    None
):
    assert passed_at(at(3), Between(at(-1), at(0))) == at(0) - timedelta(microseconds=1)
    assert passed_at(at(3), Between(at(-1))) == at(3), "written before messages told anything"


def test_the_first_message_after_partitions_were_taken_over_tells_where_they_stood_and_no_later_one() -> None:
    over = PassedOver(START)
    over.takes_over({PLACE: 5, ("commands.v1", 0): 9})
    first = over.begin()
    first.passes(record(7))
    assert told(first.told) == Told(START, {PLACE: 8}, Begun(START, {PLACE: 5, ("commands.v1", 0): 9}))
    first.speaks(at(2))
    assert first.told is None
    over.end(first)
    assert over.begin().told is None
    over.takes_over({PLACE: 8})
    assert over.begin().told is None, "it told that of itself"
    over.takes_over({("receipts.gz.v1", 1): 2})
    assert told(over.begin().told) == Told(at(2), {}, Begun(START, {("receipts.gz.v1", 1): 2}))


def test_what_is_met_while_another_lane_speaks_is_told_by_the_next_message() -> None:
    over = PassedOver(START)
    over.takes_over({PLACE: 5})
    speaking = over.begin()
    over.takes_over({("commands.v1", 0): 9})
    speaking.speaks(at(2))
    over.end(speaking)
    assert told(over.begin().told) == Told(at(2), {}, Begun(START, {("commands.v1", 0): 9}))


def test_what_nobody_tells_was_decided_after_the_last_message_if_anybody_told_anything_then() -> None:
    assert Silent(START, at(30)).untold(at(-1)) == Between()
    assert Silent(START, at(30)).untold(at(5)) == Between(at(30))
    assert Silent(None, at(30)).untold(at(5)) == Between()
