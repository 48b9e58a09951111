"""The one place that polls: it gives the first true answer, and says what it saw when there is none."""

from __future__ import annotations

from itertools import count

import pytest

from tests.support.waiting import eventually


async def test_the_first_true_answer_is_given() -> None:
    numbers = count()
    assert await eventually(lambda: next(numbers) // 3, every=0.001) == 1


async def test_an_assertion_that_fails_counts_as_not_yet() -> None:
    numbers = count()

    async def third() -> str:
        assert next(numbers) == 2
        return "there"

    assert await eventually(third, every=0.001) == "there"


async def test_time_that_is_up_is_a_failure_with_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"the queue's end did not come true within 0.02 s; last: \[\]"):
        await eventually(list, 0.02, every=0.001, what="the queue's end")


async def test_an_error_of_another_kind_ends_the_waiting() -> None:
    def broken() -> bool:
        raise LookupError("no such table")

    with pytest.raises(LookupError):
        await eventually(broken, 5)
