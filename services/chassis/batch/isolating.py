"""Finds the message in a batch that cannot be applied: the batch is tried whole, then in halves, down to one message.

A message is given up only for a fault of its own. A failure of the database is counted against no message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from services.chassis.base.backoff import Backoff
from services.chassis.base.database import Connection
from services.chassis.base.failures import FailureClass, blames_nobody, classify
from services.chassis.base.halving import Halving
from services.chassis.base.logs import Episode
from services.chassis.batch.storage import POSTGRES, Storage
from services.chassis.log.positions import FenceLost

__all__ = ["Session", "isolate"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_FAILURES: Final = 5
"""After so many failures of a single message it is given up."""
_SHORTEST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 0.8


class Session:
    """The connection over which messages are applied. ``renew``, if given, opens another in its place."""

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

        Raises the error itself where no message is at fault.
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
    parts: Sequence[Sequence[Item]],
    commit: Callable[[Sequence[Item]], Awaitable[Result]],
    give_up: Callable[[Item, Exception], Awaitable[Result]],
    session: Session,
) -> list[Result]:
    """Apply these parts of a batch in order, each in a transaction of its own; gives what each transaction led to.

    A message that fails alone is given up: at once if it meets a constraint, otherwise after five failures, if the
    database took another write after each of them. Raises ``FenceLost``, and errors of the database itself.
    """
    results: list[Result] = []
    halving = Halving(parts)
    for part in halving:
        try:
            results.append(await commit(part))
        except Exception as error:
            kind = await session.blame(error)
            item = halving.failed(part)
            if item is not None:
                results.append(await _alone(item, commit, give_up, session, error, kind))
    return results


async def _alone(
    item: Item,
    commit: Callable[[Sequence[Item]], Awaitable[Result]],
    give_up: Callable[[Item, Exception], Awaitable[Result]],
    session: Session,
    error: Exception,
    kind: FailureClass,
) -> Result:
    backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF)
    for _ in range(_FAILURES - 1):
        if kind is FailureClass.PERMANENT:
            break
        session.episode.met(error)
        backoff.failed()
        await backoff.wait()
        try:
            return await commit([item])
        except Exception as again:
            error, kind = again, await session.blame(again)
    return await give_up(item, error)
