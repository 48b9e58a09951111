"""How often somebody looks for work: often looking costs a processor, and rare looking makes the work wait."""

from __future__ import annotations

import asyncio
from typing import Final

from services.chassis.base.backoff import Backoff

__all__ = ["Polling"]

_SHORTEST: Final = 0.02


class Polling:
    """The interval between two looks: short after a look that found work, twice as long after each look that found
    none, at most ``longest`` seconds.

    Work therefore waits at most about as long as there was no work before it. ``wake`` ends an interval at once.
    """

    def __init__(self, longest: float, wake: asyncio.Event | None = None) -> None:
        self.wake = wake or asyncio.Event()
        self._interval = Backoff(_SHORTEST, longest, wake=self.wake)

    def found(self) -> None:
        """There was work: look again soon."""
        self._interval.over()

    async def wait(self) -> None:
        """Return when it is time to look again."""
        self._interval.failed()
        if await self._interval.wait():
            self.found()
