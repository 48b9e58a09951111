"""How long a registry's system that is away is left in peace, by a clock that jumps."""

from __future__ import annotations

import asyncio

from services.adapters.parts import Part
from tests.support.jumping import jumping


def test_a_system_that_stays_away_is_left_in_peace_longer_each_time() -> None:
    async def work() -> list[float]:
        part, left = Part("calls"), []
        for _ in range(7):
            part.takes_nothing("no answer")
            left.append(round(part.backoff.left, 6))
            await part.backoff.wait()
        assert part.away.count == 7
        return left

    assert jumping(work()) == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_calls_that_were_under_way_when_it_went_away_count_once() -> None:
    async def work() -> None:
        part = Part("calls")
        for _ in range(16):
            part.takes_nothing("no answer")
        assert (part.away.count, round(part.backoff.left, 6)) == (1, 0.2)

    jumping(work())


def test_a_system_gets_the_time_that_it_asks_for_even_if_another_call_is_answered() -> None:
    async def work() -> None:
        part = Part("calls")
        part.takes_nothing("no answer")
        part.takes_nothing("too many requests", 60.0)
        part.answers()
        assert not part.away.active
        assert part.backoff.left == 60.0
        await part.backoff.wait()
        assert asyncio.get_running_loop().time() == 60.0
        part.takes_nothing("no answer")
        assert round(part.backoff.left, 6) == 0.2, "it had answered"

    jumping(work())
