"""How soon whoever polls notices that there is work, by a clock that jumps."""

from __future__ import annotations

import asyncio

from services.chassis.base.polling import Polling
from tests.support.jumping import jumping


async def _waited(polling: Polling) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await polling.wait()
    return round(loop.time() - begun, 6)


def test_looks_grow_rarer_while_nothing_is_found_and_no_rarer_than_asked_for() -> None:
    async def work() -> list[float]:
        polling = Polling(longest=0.5)
        return [await _waited(polling) for _ in range(8)]

    assert jumping(work()) == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]


def test_once_something_was_found_it_is_looked_for_soon_again() -> None:
    async def work() -> list[float]:
        polling = Polling(longest=0.5)
        first = [await _waited(polling), await _waited(polling)]
        polling.found()
        return [*first, await _waited(polling)]

    assert jumping(work()) == [0.02, 0.04, 0.02]


def test_whoever_is_woken_looks_at_once_and_soon_again() -> None:
    async def work() -> list[float]:
        polling = Polling(longest=600.0)
        first = [await _waited(polling) for _ in range(4)]
        asyncio.get_running_loop().call_later(0.1, polling.wake.set)
        woken = await _waited(polling)
        assert not polling.wake.is_set()
        return [*first, woken, await _waited(polling)]

    assert jumping(work()) == [0.02, 0.04, 0.08, 0.16, 0.1, 0.02]


def test_a_wake_up_while_it_works_is_not_lost() -> None:
    async def work() -> float:
        polling = Polling(longest=600.0)
        polling.wake.set()
        waited = await _waited(polling)
        assert not polling.wake.is_set()
        return waited

    assert jumping(work()) == 0
