"""Work of a process that goes on whatever fails: after a failure it is done again, and health says what fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from services.chassis.base.backoff import Backoff
from services.chassis.base.logs import Episode

__all__ = ["LONGEST_BACKOFF", "SHORTEST_BACKOFF", "persistent"]

SHORTEST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 2.0


async def persistent(work: Callable[[], Awaitable[object]], failing: Episode) -> None:
    """Do ``work`` again and again until cancelled; after an error with a backoff. ``work`` keeps no state of its own
    that an error could break, and calls ``failing.over()`` once it works."""
    backoff = Backoff(SHORTEST_BACKOFF, LONGEST_BACKOFF)
    while True:
        try:
            await work()
        except Exception as error:
            if not failing.active:
                backoff.over()  # it has worked since its last failure
            failing.met(error)
            backoff.failed()
            await backoff.wait()
