"""Starting again a process that died."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from deploy.operate.errors import ProcessFailed
from services.chassis.base.backoff import Backoff

__all__ = ["start_again"]

_SHORTEST: Final = 1.0
_LONGEST: Final = 30.0


async def start_again(start: Callable[[], Awaitable[None]], failed: Callable[[ProcessFailed], None]) -> None:
    """Call ``start`` until it succeeds. ``failed`` is told each failure; the pause before each start is twice as long
    as the one before it, 30 s at most."""
    backoff = Backoff(_SHORTEST, _LONGEST)
    while True:
        backoff.failed()
        await backoff.wait()
        try:
            return await start()
        except ProcessFailed as failure:
            failed(failure)
