"""Which of several messages cannot be applied: all together, else in halves, down to the one that fails by itself.

A message is given up for what it is only: where the database itself fails, nothing is counted against anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from services.chassis.database import Connection
from services.chassis.failures import FailureClass, blames_nobody, classify
from services.chassis.logs import Episode
from services.chassis.positions import FenceLost
from services.chassis.storage import POSTGRES, Storage

__all__ = ["Session", "isolate"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_PAUSES: Final = (0.1, 0.2, 0.4, 0.8)
"""Seconds between the five failures after which a message is given up."""


class Session:
    """The connection that messages are applied over. ``renew`` opens another in its place, where that is possible."""

    def __init__(
        self,
        db: Connection,
        episode: Episode,
        renew: Callable[[], Awaitable[Connection]] | None = None,
        storage: Storage = POSTGRES,
    ) -> None:
        self.db = db
        self.episode = episode
        self._renew = renew
        self._storage = storage

    async def blame(self, error: Exception) -> FailureClass:
        """The class of an error that lies in the messages, or may lie there, since the database takes other writes.

        Raises the error itself where it says nothing of them.
        """
        kind = classify(error)
        if isinstance(error, FenceLost) or blames_nobody(error):
            raise error
        if kind is FailureClass.OUT_OF_TIME and self._renew is not None:
            self.db = await self._renew()
        if kind is not FailureClass.PERMANENT and not await self._storage.takes_writes(self.db):
            raise error
        return kind


async def isolate(
    items: Sequence[Item],
    commit: Callable[[Sequence[Item]], Awaitable[Result]],
    give_up: Callable[[Item, Exception], Awaitable[Result]],
    session: Session,
) -> list[Result]:
    """Apply messages, in order, each part in a transaction of its own; gives what the parts led to.

    One that fails alone is given up: at once where it meets a constraint, else after five failures, after each of which
    the database took another write. Raises ``FenceLost``, and what the database itself is at fault for.
    """
    try:
        return [await commit(items)]
    except Exception as error:
        kind = await session.blame(error)
        if len(items) == 1:
            return [await _alone(items[0], commit, give_up, session, error, kind)]
    middle = len(items) // 2
    first = await isolate(items[:middle], commit, give_up, session)
    return first + await isolate(items[middle:], commit, give_up, session)


async def _alone(
    item: Item,
    commit: Callable[[Sequence[Item]], Awaitable[Result]],
    give_up: Callable[[Item, Exception], Awaitable[Result]],
    session: Session,
    error: Exception,
    kind: FailureClass,
) -> Result:
    for pause in _PAUSES:
        if kind is FailureClass.PERMANENT:
            break
        session.episode.met(error)
        await asyncio.sleep(pause)
        try:
            return await commit([item])
        except Exception as again:
            error, kind = again, await session.blame(again)
    return await give_up(item, error)
