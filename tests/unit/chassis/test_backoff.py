"""When something that failed is tried again, by a clock that jumps."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.base.backoff import Backoff, growing
from services.chassis.base.logs import Episode
from services.chassis.base.persistent import persistent
from tests.support.jumping import jumping


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _tries(backoff: Backoff, count: int) -> list[float]:
    """The moments of so many tries that all fail."""
    moments = []
    for _ in range(count):
        moments.append(round(_now(), 6))
        backoff.failed()
        await backoff.wait()
    return moments


def test_backoffs_grow_to_their_bound_and_no_further() -> None:
    assert jumping(_tries(Backoff(0.1, 1.0), 7)) == [0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5]


@given(st.integers(1, 10**6))
def test_no_number_of_failures_makes_a_backoff_shorter_than_the_last_or_longer_than_the_bound(failures: int) -> None:
    shortest, longest = timedelta(seconds=1), timedelta(minutes=5)
    backoff = growing(shortest, longest, failures)
    assert shortest <= backoff <= growing(shortest, longest, failures + 1) <= longest


def test_after_something_worked_the_backoff_is_the_shortest_again() -> None:
    async def work() -> list[float]:
        backoff = Backoff(0.1, 1.0)
        await _tries(backoff, 5)
        backoff.over()
        begun = _now()
        return [round(moment - begun, 6) for moment in await _tries(backoff, 3)]

    assert jumping(work()) == [0, 0.1, 0.3]


def test_whoever_does_not_wait_sees_how_much_of_the_backoff_is_left() -> None:
    async def work() -> list[float]:
        backoff = Backoff(4.0, 8.0)
        left = [backoff.left]
        backoff.failed()
        left.append(backoff.left)
        await asyncio.sleep(3)
        backoff.over()  # what has begun goes on
        left.append(backoff.left)
        await asyncio.sleep(3)
        return [*left, backoff.left]

    assert jumping(work()) == [0, 4, 1, 0]


def test_who_asks_for_a_longer_time_gets_it_and_a_shorter_time_cuts_nothing() -> None:
    async def work() -> list[float]:
        backoff = Backoff(2.0, 8.0)
        backoff.failed()
        left = [backoff.left]
        for seconds in (1, 60, 30):
            backoff.at_least(seconds)
            left.append(backoff.left)
        return left

    assert jumping(work()) == [2, 2, 60, 60]


def test_a_backoff_by_chance_is_a_part_of_the_whole() -> None:
    chances = iter((0.5, 0.0, 1.0))
    backoff = Backoff(1.0, 8.0, chance=lambda: next(chances))
    assert jumping(_tries(backoff, 3)) == [0, 0.5, 0.5]


def test_whoever_is_woken_may_try_at_once_and_wakes_once() -> None:
    async def work() -> list[object]:
        wake = asyncio.Event()
        backoff = Backoff(600.0, 600.0, wake=wake)
        backoff.failed()
        asyncio.get_running_loop().call_later(5, wake.set)
        found: list[object] = [await backoff.wait(), _now(), backoff.left]
        backoff.failed()
        return [*found, await backoff.wait(), _now()]

    assert jumping(work()) == [True, 5, 0, False, 605]


@pytest.mark.parametrize("woken", [False, True])
def test_a_cancellation_ends_the_wait_at_once(woken: bool) -> None:
    async def work() -> float:
        backoff = Backoff(600.0, 600.0, wake=asyncio.Event() if woken else None)
        backoff.failed()
        task = asyncio.create_task(backoff.wait())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return _now()

    assert jumping(work()) == 1


class _Ended(BaseException):
    """Ends work that goes on for ever."""


def _persistent(*fails: bool) -> tuple[list[float], Episode]:
    """The moments at which work is done that fails or works in this order, and works for ten seconds."""
    episode, moments = Episode("it failed"), []
    turns = iter(fails)

    async def work() -> None:
        moments.append(round(_now(), 6))
        failing = next(turns, None)
        if failing is None:
            raise _Ended
        if failing:
            raise ConnectionError("away")
        episode.over()
        await asyncio.sleep(10)

    with pytest.raises(_Ended):
        jumping(persistent(work, episode))
    return moments, episode


def test_work_that_fails_is_done_again_after_a_growing_backoff_and_health_sees_it_fail() -> None:
    moments, episode = _persistent(True, True, True, True)
    assert moments == [0, 0.5, 1.5, 3.5, 5.5]
    assert (episode.count, episode.detail) == (4, "ConnectionError: away")


def test_work_that_has_worked_in_the_meantime_is_soon_done_again() -> None:
    moments, episode = _persistent(True, True, True, False, True)
    assert moments == [0, 0.5, 1.5, 3.5, 13.5, 14.0]
    assert episode.count == 1
