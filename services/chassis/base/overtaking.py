"""A batch that another writer overtook is decided again, on fresh states: the second line of defence behind the locks.

Locks keep two batches from deciding on one row at once. If a lock were missing, saving would find it out: a row is
written only if it still has the row version that was loaded (``tables``).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from services.chassis.base import metrics
from services.chassis.base.backoff import Backoff
from services.chassis.base.database import describe
from services.chassis.base.logs import log

__all__ = ["Overtaken", "decided_again"]

R = TypeVar("R")

_MOST = 10
_MOST_REFUSED = 3
_SHORTEST_BACKOFF = 0.005
_LONGEST_BACKOFF = 0.2


class Overtaken(Exception):
    """Another writer changed or made a row of this table since the batch loaded it; nothing of the batch is kept."""

    def __init__(self, table: str) -> None:
        super().__init__(table)


async def decided_again(where: str, decide: Callable[[], Awaitable[R]]) -> R:
    """Decide and commit a batch. A batch that was overtaken is rolled back and decided again, whole.

    ``decide`` is one transaction. A unique or exclusion constraint may mean another writer or a wrong decision, so it
    gets fewer tries. The error of the last try is raised: after so many failures no other writer is to blame. Each
    time is counted; the log has one line for a batch.
    """
    refused = 0
    # By chance, so that two writers that met once do not meet again.
    backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF, chance=random.random)
    for again in range(_MOST):
        try:
            return await decide()
        except Overtaken as error:
            _note(where, error, first=again == 0)
        except (asyncpg.UniqueViolationError, asyncpg.ExclusionViolationError) as error:
            refused += 1
            if refused == _MOST_REFUSED:
                raise
            _note(where, error, first=again == 0)
        backoff.failed()
        await backoff.wait()
    return await decide()


def _note(where: str, error: Exception, *, first: bool) -> None:
    metrics.own().overtaken.labels(where).inc()
    if first:
        log().warning("batch overtaken, decided again", group=where, detail=describe(error))
