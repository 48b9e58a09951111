"""Python's collector of cycles: rarely in the way of batches, and never so rarely that what failed piles up.

An error whose frame has a name for it is a cycle. It holds that frame and the frames that called it, and with them a
whole batch of messages. Counts of objects do not show how large such a cycle is, so the clock decides as well.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

__all__ = ["collect_rarely"]

_SECONDS: Final = 60.0


async def collect_rarely() -> None:
    """Leave alone what stands since the start, and look for cycles once a minute; until cancelled."""
    gc.collect()
    gc.freeze()
    # A quarter of Python's time went into looking for cycles that are not there (`make bench`).
    gc.set_threshold(100_000, 50, 1000)
    while True:
        await asyncio.sleep(_SECONDS)
        gc.collect()
