"""Halving finds the items that cannot be taken, in few tries and without changing the order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.chassis.base.failures import FailureClass
from services.chassis.base.halving import Halving, halves
from services.chassis.batch.isolating import Session, isolate

_BATCH = st.lists(st.booleans(), max_size=600)
"""For each item, whether it can be taken."""


class Line:
    """Takes parts whole or not at all, as a transaction does. Items are their own places."""

    def __init__(self, good: Sequence[bool]) -> None:
        self.good = good
        self.tried: list[int] = []
        """The first item of each part that was tried."""
        self.taken: list[int] = []

    def take(self, part: Sequence[int]) -> None:
        assert part, "no part is empty"
        self.tried.append(part[0])
        if not all(self.good[item] for item in part):
            raise ValueError
        self.taken += part

    def halved(self, parts: Iterable[Sequence[int]]) -> list[int]:
        """The items that were found."""
        found = []
        halving = Halving(parts)
        for part in halving:
            try:
                self.take(part)
            except ValueError:
                item = halving.failed(part)
                found += [] if item is None else [item]
        return found


@given(_BATCH)
@example([True] * 500)
@example([False] * 500)
def test_exactly_the_bad_ones_are_found_and_each_other_one_is_taken_once_in_order(good: list[bool]) -> None:
    line = Line(good)
    assert line.halved([range(len(good))]) == [item for item, can in enumerate(good) if not can]
    assert line.taken == [item for item, can in enumerate(good) if can]


@given(_BATCH)
def test_nothing_is_tried_before_what_stands_in_front_of_it_is_taken_or_found(good: list[bool]) -> None:
    line = Line(good)
    line.halved([range(len(good))])
    assert line.tried == sorted(line.tried)


@given(st.integers(1, 600), st.data())
def test_each_bad_one_costs_two_tries_for_each_doubling_of_the_batch_at_most(size: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, size - 1), max_size=8))
    line = Line([item not in bad for item in range(size)])
    line.halved([range(size)])
    assert len(line.tried) <= 1 + 2 * len(bad) * math.ceil(math.log2(size))


@given(st.lists(_BATCH, max_size=5))
def test_several_parts_are_tried_one_after_the_other(batches: list[list[bool]]) -> None:
    good = [can for batch in batches for can in batch]
    places = iter(range(len(good)))
    line = Line(good)
    found = line.halved([[next(places) for _ in batch] for batch in batches])
    assert (found, line.taken) == (
        [item for item, can in enumerate(good) if not can],
        [item for item, can in enumerate(good) if can],
    )


@given(st.lists(st.integers()))
def test_two_halves_are_the_whole(items: list[int]) -> None:
    first, second = halves(items)
    assert [*first, *second] == items
    assert len(second) - len(first) in (0, 1)


class _AsIs(Session):
    """A session that counts a failure against a message, unless it is the database's own."""

    def __init__(self) -> None:
        """It has no connection: nothing is written."""

    async def blame(self, error: Exception) -> FailureClass:
        if isinstance(error, ConnectionError):
            raise error
        return FailureClass.PERMANENT


@given(_BATCH)
async def test_a_batch_gives_the_results_of_its_parts_and_of_what_is_given_up_in_order(good: list[bool]) -> None:
    line, given_up = Line(good), set[int]()

    async def commit(part: Sequence[int]) -> list[int]:
        line.take(part)
        return list(part)

    async def give_up(item: int, error: Exception) -> list[int]:
        given_up.add(item)
        return [item]

    results = await isolate([range(len(good))], commit, give_up, _AsIs())
    assert [item for result in results for item in result] == list(range(len(good)))
    assert given_up == {item for item, can in enumerate(good) if not can}


@given(st.integers(0, 499))
async def test_an_error_of_the_database_ends_everything_and_blames_no_message(place: int) -> None:
    async def commit(part: Sequence[int]) -> None:
        if place in part:
            raise ValueError if len(part) > 1 else ConnectionError

    async def give_up(item: int, error: Exception) -> None:
        pytest.fail(f"{item} was given up")

    with pytest.raises(ConnectionError):
        await isolate([range(500)], commit, give_up, _AsIs())
