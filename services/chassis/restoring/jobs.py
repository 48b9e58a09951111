"""Jobs in a replay: a due is done at the moment at which the later life did it, as far as that moment is known."""

from __future__ import annotations

import asyncio
from datetime import datetime

from services.chassis.base.database import Connection, Pool
from services.chassis.batch.naming import Cause
from services.chassis.batch.processing import Processor
from services.chassis.jobs.scheduling import Scheduler, next_dues
from services.chassis.outgoing import said

__all__ = ["Jobs", "earliest"]


def earliest(*moments: datetime | None) -> datetime | None:
    """The earliest of these moments; None if none is known."""
    return min((one for one in moments if one is not None), default=None)


class Jobs:
    """The jobs of the service itself. A job that fails here is left to the schedule, which tries it again and tells it.

    A due that sent nothing is done at its own moment. A job that the database does not know was begun by the later life
    and is due for the first time after the replay.
    """

    def __init__(self, processor: Processor, pool: Pool) -> None:
        self._processor = processor
        self._names = [job.name for job in processor.service.schedule]
        self._scheduler = Scheduler(processor, pool, processor.service.schedule, asyncio.Event())
        self._replay_at: dict[str, datetime] = {}

    @property
    def next(self) -> datetime | None:
        """When the next portion is done; None where nothing is known to be due."""
        return min(self._replay_at.values(), default=None)

    async def renew(self, db: Connection) -> None:
        """Find out the moments, after the messages of the later life are kept."""
        if self._names:
            self._replay_at = await self._found(db)

    async def do_next(self, db: Connection) -> None:
        """Do the next portion. The clock shows its moment."""
        name = min(self._replay_at, key=self._replay_at.__getitem__)
        if not await self._scheduler.portion(name):
            self._names.remove(name)
        self._replay_at = await self._found(db)

    async def _found(self, db: Connection) -> dict[str, datetime]:
        known = await next_dues(db, self._names)
        ids = {
            name: self._processor.naming.send_id(Cause.job(name, due, portion), 0)
            for name, (due, portion) in known.items()
        }
        told = await said.moments(db, self._processor.service.source, list(ids.values()))
        return {name: told.get(ids[name], due) for name, (due, _) in known.items()}
