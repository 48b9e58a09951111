"""In which order, and in which batches, a replay decides: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.chassis.log.records import Record
from services.chassis.restoring.asides import first_batch
from services.chassis.restoring.merging import Merged, Moment

_T0 = datetime(2026, 7, 18, tzinfo=UTC)
_LIMIT = 500


def at(milliseconds: float) -> datetime:
    return _T0 + timedelta(milliseconds=milliseconds)


def said(topic: str, offset: int, decided: float, written: float = 0) -> Moment:
    """A record of which it is known when it was decided."""
    return Moment(_record(topic, offset), at(decided), at(written))


def silent(topic: str, offset: int, written: float) -> Moment:
    return Moment(_record(topic, offset), None, at(written))


def _record(topic: str, offset: int) -> Record:
    return Record(topic, 0, offset, 0, None, (), None)


def batches(*partitions: list[Moment], before: datetime | None = None) -> list[list[str]]:
    """What is decided together, in order."""
    merged = Merged()
    for moments in partitions:
        merged.add([*moments, silent(moments[0].record.topic, 99, 10_000)])
    found = []
    while merged.next is not None and merged.next < at(10_000):
        taken = merged.take(_LIMIT, lambda topic: "group", before)
        found.append([f"{one.record.topic}{one.record.offset}" for one in taken])
    return found


def test_what_said_something_shares_no_batch_with_a_silent_one_before_it_that_may_have_released_others() -> None:
    assert batches([silent("a", 0, 10)], [said("b", 0, 40)]) == [["a0"], ["b0"]]


def test_what_was_decided_in_one_batch_is_decided_in_one_batch_again() -> None:
    assert batches([said("a", 0, 10), said("a", 1, 10.002)], [said("b", 0, 10.001)]) == [["a0", "b0", "a1"]]


def test_what_was_decided_in_the_next_batch_is_decided_in_the_next_batch_again() -> None:
    assert batches([said("a", 0, 10)], [said("b", 0, 15)]) == [["a0"], ["b0"]]


def test_silent_ones_share_a_batch_with_each_other_and_with_what_spoke_before_them() -> None:
    assert batches([silent("a", 0, 12), silent("a", 1, 70)], [said("b", 0, 10)]) == [["b0", "a0", "a1"]]


def test_what_comes_early_since_others_lie_behind_it_shares_a_batch_with_these_only() -> None:
    assert batches([silent("a", 0, 10)], [said("b", 0, 900), said("b", 1, 40)]) == [["a0"], ["b0", "b1"]]


def test_what_is_set_aside_is_decided_together_as_far_as_it_was_one_batch() -> None:
    assert first_batch({1: at(10), 2: at(10.001), 3: at(15)}, None) == {1: at(10), 2: at(10.001)}


def test_what_is_set_aside_is_decided_together_in_the_order_in_which_it_stands() -> None:
    assert first_batch({2: at(10), 1: at(10.001)}, None) == {2: at(10)}


def test_what_is_set_aside_lets_what_happens_between_come_first() -> None:
    assert first_batch({1: at(10), 2: at(10.5)}, at(10.2)) == {1: at(10)}
