"""The progress of a lane: when it last applied something, and what fails or pauses it at present."""

from __future__ import annotations

import time
from typing import Final

from services.chassis.base.backoff import Backoff
from services.chassis.base.logs import Episode

__all__ = ["Movement"]

_SHORTEST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 5.0


class Movement:
    """What a lane met last in each of the three things that it does. ``paused``: its group reads nothing at present."""

    def __init__(self, group: str) -> None:
        self.reading = Episode("log not read", group=group)
        self.placing = Episode("positions not read", group=group)
        self.applying = Episode("batch failed, tried again", group=group)
        self.paused = False
        self._backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF)
        self._moved_at = time.monotonic()

    @property
    def trouble(self) -> Episode | None:
        """What fails at present, None if nothing does."""
        return next((one for one in (self.placing, self.reading, self.applying) if one.active), None)

    @property
    def failures(self) -> int:
        """Failures since it last applied something."""
        return self._backoff.failures

    def moved(self) -> None:
        """It has applied something."""
        self.applying.over()
        self.idle()
        self._backoff.over()

    def idle(self) -> None:
        """There is nothing to apply, or the group is paused."""
        self._moved_at = time.monotonic()

    def silent(self) -> float:
        """Seconds since it last moved, or had a reason not to."""
        return 0.0 if self.paused else time.monotonic() - self._moved_at

    async def back_off(self) -> None:
        """Wait after a failure, longer after each further failure, until something is applied."""
        self._backoff.failed()
        await self._backoff.wait()
