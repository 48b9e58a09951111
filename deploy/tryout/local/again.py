"""Starting again a process that died."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from deploy.operate.errors import ProcessFailed

__all__ = ["start_again"]

_SHORTEST: Final = 1.0
_LONGEST: Final = 30.0


async def start_again(start: Callable[[], Awaitable[None]], failed: Callable[[ProcessFailed], None]) -> None:
    """Call ``start`` until it succeeds. ``failed`` is told each failure; the pause before each start is twice as long
    as the one before it, 30 s at most."""
    pause = _SHORTEST
    while True:
        await asyncio.sleep(pause)
        try:
            return await start()
        except ProcessFailed as failure:
            failed(failure)
            pause = min(_LONGEST, 2 * pause)
