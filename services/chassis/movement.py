"""Whether a lane moves, and if not, since when and why."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from services.chassis.logs import Episode

__all__ = ["Movement"]

_BACKOFF: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Movement:
    """What a lane met last in each of the three things that it does. ``held``: somebody wants it to stand."""

    def __init__(self, group: str) -> None:
        self.reading = Episode("log not read", group=group)
        self.placing = Episode("positions not read", group=group)
        self.applying = Episode("batch failed, tried again", group=group)
        self.held = False
        self._failures = 0
        self._moved_at = time.monotonic()

    @property
    def trouble(self) -> Episode | None:
        """What fails at present, None if nothing does."""
        return next((one for one in (self.placing, self.reading, self.applying) if one.active), None)

    def moved(self) -> None:
        """It has applied something."""
        self.applying.over()
        self.rested()
        self._failures = 0

    def rested(self) -> None:
        """There is nothing to apply, or somebody holds it."""
        self._moved_at = time.monotonic()

    def silent(self) -> float:
        """Seconds since it last moved, or had a reason not to."""
        return 0.0 if self.held else time.monotonic() - self._moved_at

    async def rest(self) -> None:
        """Wait after a failure, longer after each one until something is applied."""
        pause = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        await asyncio.sleep(pause)
