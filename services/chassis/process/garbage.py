"""When Python's garbage collector runs: rarely enough not to slow batches, often enough to keep memory small.

An error that is bound to a name in its own frame is a reference cycle. The cycle holds this frame and all frames that
called it, and with them a whole batch of messages. The number of objects does not show how large such a cycle is, so
the collector also runs by the clock.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from typing import Final

__all__ = ["collect_less", "collect_rarely"]

_SETTLED: Final = 5.0
"""Seconds from the begin of all parts to the first look. It takes a tenth of a second, and lanes that have just joined
their groups would stand meanwhile."""
_SECONDS: Final = 60.0


def collect_less() -> None:
    """Look for cycles after many more objects than Python would. It is called before a process loads its libraries:
    what they make is kept, and each look goes through all of it."""
    # A quarter of Python's time went into looking for cycles that are not there (`make bench`), at a start a tenth.
    gc.set_threshold(100_000, 50, 1000)


async def collect_rarely(begun: Iterable[asyncio.Event]) -> None:
    """Soon after all that this process runs has begun, exempt the objects of the start from collection. Then look for
    cycles once a minute, until cancelled. It belongs to a process, however many services run in it."""
    for each in begun:
        await each.wait()
    await asyncio.sleep(_SETTLED)
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(_SECONDS)
        gc.collect()
