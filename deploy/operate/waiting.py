"""Waiting until other processes have done something: look again and again, up to a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["wait_until_done"]


async def wait_until_done(
    look: Callable[[], Awaitable[str | None]],
    late: Callable[[str], Exception],
    *,
    seconds: float,
    every: float = 0.1,
) -> None:
    """Return once ``look`` gives None. Until then ``look`` says in words what is missing. ``every``: seconds between
    two looks.

    After ``seconds`` the look that is under way is cancelled. The last words go to ``late``, and the error that it
    makes is raised: it says what was awaited, and what to do next. An error of ``look`` ends the wait at once.
    """
    words = "no answer yet"
    try:
        async with asyncio.timeout(seconds) as limit:
            while (missing := await look()) is not None:
                words = missing
                await asyncio.sleep(every)
    except TimeoutError:
        if not limit.expired():
            raise  # an error of the look
        raise late(words) from None
