"""A batch that another writer overtook is decided again, on fresh states: the second line of defence behind the locks.

Locks keep two batches from deciding on one row at once. Were one missing, saving would see it: a row is written only
where it still is as it was loaded (``tables``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from services.chassis import metrics
from services.chassis.database import describe
from services.chassis.logs import log

__all__ = ["Overtaken", "decided_again"]

R = TypeVar("R")

_MOST = 10
_MOST_REFUSED = 3
_LONGEST_PAUSE = 0.2


class Overtaken(Exception):
    """Another writer changed or made a row of this table since the batch loaded it; nothing of the batch is kept."""

    def __init__(self, table: str) -> None:
        super().__init__(table)


async def decided_again(where: str, decide: Callable[[], Awaitable[R]]) -> R:
    """Decide and commit a batch; what was overtaken is rolled back and decided again, whole.

    ``decide`` is one transaction. A unique or exclusion constraint may be another writer, too; it is asked again less
    often, for it may also be a wrong decision. What comes of the last attempt is raised: whoever fails so often alone
    has no other writer to blame. Counted each time, logged once an episode.
    """
    refused = 0
    for attempt in range(_MOST):
        try:
            return await decide()
        except Overtaken as error:
            _note(where, error, first=attempt == 0)
        except (asyncpg.UniqueViolationError, asyncpg.ExclusionViolationError) as error:
            refused += 1
            if refused == _MOST_REFUSED:
                raise
            _note(where, error, first=attempt == 0)
        # By chance, so that two who met once do not meet again.
        await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.005 * 2**attempt)))
    return await decide()


def _note(where: str, error: Exception, *, first: bool) -> None:
    metrics.overtaken.labels(where).inc()
    if first:
        log().warning("batch overtaken, decided again", group=where, detail=describe(error))
