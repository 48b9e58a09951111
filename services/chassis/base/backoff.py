"""Backoff: the time until something that failed is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

__all__ = ["Backoff", "growing"]

Time = TypeVar("Time", float, timedelta)

_MOST_DOUBLINGS = 20
"""Enough for every bound; more would leave the range of times."""


def growing(shortest: Time, longest: Time, failures: int) -> Time:
    """The backoff after so many failures in a row, at least 1: ``shortest``, doubled by each failure after the first,
    at most ``longest``."""
    doubled: int = 2 ** min(failures - 1, _MOST_DOUBLINGS)
    return min(longest, shortest * doubled)


class Backoff:
    """The backoff of one thing. Seconds are those of the event loop's clock.

    ``chance`` gives numbers from 0 to 1; the backoff is multiplied by such a number, so that two writers that failed
    together do not try again together. ``wake`` ends a wait at once.
    """

    __slots__ = ("_chance", "_longest", "_shortest", "_until", "_wake", "failures")

    def __init__(
        self,
        shortest: float,
        longest: float,
        *,
        chance: Callable[[], float] | None = None,
        wake: asyncio.Event | None = None,
    ) -> None:
        self._shortest = shortest
        self._longest = longest
        self._chance = chance
        self._wake = wake
        self._until = 0.0
        self.failures = 0
        """Failures since it worked last."""

    @property
    def left(self) -> float:
        """Seconds until it may be tried again; 0 where it may be tried now."""
        if not self._until:
            return 0.0
        return max(0.0, self._until - asyncio.get_running_loop().time())

    def failed(self) -> None:
        """It failed: a backoff begins now, longer than the one before."""
        self.failures += 1
        seconds = growing(self._shortest, self._longest, self.failures)
        if self._chance is not None:
            seconds *= self._chance()
        self._until = asyncio.get_running_loop().time() + seconds

    def at_least(self, seconds: float) -> None:
        """It may not be tried again before so many seconds from now, because it asked for that."""
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)

    def over(self) -> None:
        """It works: the next backoff is the shortest. A backoff that has begun goes on."""
        self.failures = 0

    async def wait(self) -> bool:
        """Return when it may be tried again. True if ``wake`` ended the wait; then it may be tried now."""
        if self._wake is None:
            await asyncio.sleep(self.left)
            return False
        try:
            await asyncio.wait_for(self._wake.wait(), self.left)
        except TimeoutError:
            return False
        self._wake.clear()
        self._until = 0.0
        return True
