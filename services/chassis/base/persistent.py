"""Work of a process that goes on until it is cancelled, whatever fails: after a failure it is done again, and health
says what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from services.chassis.base.backoff import Backoff
from services.chassis.base.logs import Episode

__all__ = ["LONGEST_BACKOFF", "SHORTEST_BACKOFF", "cancel_all", "persistent"]

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


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and repeat it until they end. A task that gives a connection back to a silent database takes a
    minute; if the database goes away meanwhile, the error of that replaces the cancellation. And ``asyncio.wait_for``
    of Python 3.11 loses a cancellation that comes together with what it waits for."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)
