"""How soon whoever polls notices that there is work."""

from __future__ import annotations

import asyncio

import pytest

from services.chassis.base.polling import Polling


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are asked for; none is waited for."""
    asked: list[float] = []

    async def wait_for(work: object, seconds: float) -> None:
        work.close()  # type: ignore[attr-defined]
        asked.append(seconds)
        raise TimeoutError

    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    return asked


async def test_looks_grow_rarer_while_nothing_is_found_and_no_rarer_than_asked_for(slept: list[float]) -> None:
    polling = Polling(longest=0.5)
    for _ in range(8):
        await polling.wait()
    assert slept == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]


async def test_once_something_was_found_it_is_looked_for_soon_again(slept: list[float]) -> None:
    polling = Polling(longest=0.5)
    await polling.wait()
    await polling.wait()
    polling.found()
    await polling.wait()
    assert slept == [0.02, 0.04, 0.02]


async def test_whoever_is_woken_looks_at_once_and_soon_again() -> None:
    polling = Polling(longest=600.0)
    for _ in range(4):
        await polling.wait()
    polling.wake.set()
    await asyncio.wait_for(polling.wait(), 60)
    assert not polling.wake.is_set()
    await asyncio.wait_for(polling.wait(), 60)


async def test_a_wake_up_while_it_works_is_not_lost() -> None:
    polling = Polling(longest=600.0)
    polling.wake.set()
    await asyncio.wait_for(polling.wait(), 60)
    assert not polling.wake.is_set()
