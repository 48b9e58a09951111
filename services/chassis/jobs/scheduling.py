"""Does the jobs of a service when they are due. Each due is done once, by the process that comes first.

One transaction locks the row of a job, does a portion of the due and moves the row on. So a process that is killed has
done nothing, a process that finds the row locked goes on to the next job, and dues that passed while no process ran are
done in order. A job that fails is tried again after a backoff of 1 s to 5 min, while the other jobs go on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.chassis.base import metrics
from services.chassis.base.backoff import Backoff
from services.chassis.base.database import Connection, Pool, transaction
from services.chassis.base.failpoints import failpoint
from services.chassis.base.logs import Episode, log
from services.chassis.base.persistent import persistent
from services.chassis.batch import outbox
from services.chassis.batch.naming import Cause
from services.chassis.batch.processing import Processor
from services.chassis.schedule import Job, Run

__all__ = ["Scheduler"]

_LONGEST_SLEEP: Final = 30.0
_LOCKED_SECONDS: Final = 1.0
"""Seconds between two looks at a due that was not done, since its job failed or another process is doing it."""
_SHORTEST_BACKOFF: Final = 1.0
_LONGEST_BACKOFF: Final = 300.0
_TOLD_SECONDS: Final = 5.0
"""Seconds between two log lines about a job that catches up."""
_KNOWN: Final = "SELECT name, next_due, portion FROM schedule WHERE name = ANY($1)"
_BEGIN: Final = """INSERT INTO schedule (name, next_due) SELECT * FROM unnest($1::text[], $2::timestamptz[])
ON CONFLICT DO NOTHING"""
_TAKE: Final = """SELECT next_due, portion FROM schedule WHERE name = $1 AND next_due <= $2
FOR UPDATE SKIP LOCKED"""
_MOVE: Final = "UPDATE schedule SET next_due = $2, portion = $3 WHERE name = $1"


@dataclass(slots=True)
class _Doing:
    """A job in this process."""

    job: Job
    failed: Episode = field(init=False)
    backoff: Backoff = field(init=False)
    told_at: float = -math.inf
    """By the loop's clock."""

    def __post_init__(self) -> None:
        self.failed = Episode("job failed, tried again", name=self.job.name)
        self.backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF)

    def over(self) -> None:
        """It does not fail at present."""
        self.failed.over()
        self.backoff.over()


class Scheduler:
    """The jobs of one process. ``interrupted``: while the schedule itself cannot be read."""

    def __init__(self, processor: Processor, pool: Pool, jobs: Iterable[Job], wake_relay: asyncio.Event) -> None:
        self._processor = processor
        self._pool = pool
        self._jobs: dict[str, _Doing] = {}
        self._wake_relay = wake_relay
        self.interrupted = Episode("schedule not read")
        for job in jobs:
            if job.name in self._jobs:
                raise ValueError(f"two jobs have the name {job.name}")
            self._jobs[job.name] = _Doing(job)

    @property
    def troubles(self) -> Mapping[str, Episode]:
        """By job, what keeps this process from doing it, if anything does."""
        return {name: doing.failed for name, doing in self._jobs.items()}

    async def late(self, db: Connection) -> dict[str, float]:
        """By job, the seconds since it was due; 0 while it is to come."""
        now = self._processor.clock.now()
        known = await next_dues(db, self._jobs)
        return {name: max(0.0, (now - due).total_seconds()) for name, (due, _) in known.items()}

    async def run(self) -> None:
        """Do what is due until cancelled."""
        await persistent(self._round, self.interrupted)

    async def _round(self) -> None:
        seconds = await self.once()
        self.interrupted.over()
        await asyncio.sleep(seconds)

    async def once(self) -> float:
        """Do one portion of each job that is due; gives the seconds until there is something to do."""
        async with self._pool.acquire() as db:
            dues = await self._dues(db)
        now = self._processor.clock.now()
        done = [await self.portion(name) for name, due in dues.items() if due <= now]
        to_come = {name: due for name, due in dues.items() if due > now}
        for name in to_come:
            self._jobs[name].over()  # it failed here, and another process has done it
        if any(done):
            return 0.0
        longest = _LOCKED_SECONDS if done else _LONGEST_SLEEP
        return min([longest, *((due - now).total_seconds() for due in to_come.values())])

    async def _dues(self, db: Connection) -> dict[str, datetime]:
        """When each job is due next. One that is new is due for the first time after now."""
        known = await next_dues(db, self._jobs)
        if new := self._jobs.keys() - known.keys():
            now = self._processor.clock.now()
            await db.execute(_BEGIN, list(new), [self._jobs[name].job.first(now) for name in new])
            known = await next_dues(db, self._jobs)
        return {name: due for name, (due, _) in known.items()}

    async def portion(self, name: str) -> bool:
        """Do one portion of this job if it is due and no other process is at it; False if nothing was done."""
        doing = self._jobs[name]
        if doing.backoff.left:
            return False
        try:
            async with self._pool.acquire() as db, transaction(db):
                row = await db.fetchrow(_TAKE, name, self._processor.clock.now())
                if row is None:
                    return False
                due = row["next_due"]
                sent = await self._do(db, doing.job, due, row["portion"])
        except Exception as error:
            doing.failed.met(error)
            doing.backoff.failed()
            return False
        doing.over()
        self._tell(doing, due)
        metrics.own().job_portions.labels(name).inc()
        if sent:
            self._wake_relay.set()
        return True

    async def _do(self, db: Connection, job: Job, due: datetime, portion: int) -> int:
        """Do a portion, without the commit; gives how many messages it sends."""
        if not job.each and portion == 0:
            due = job.last(due, self._processor.clock.now())
        run = Run(db, due, self._processor.clock)
        more = await job.run(run)
        rows = self._processor.outgoing(run.sends, Cause.job(job.name, due, portion), run.now)
        await outbox.append(db, rows)
        failpoint("P2")
        await db.execute(_MOVE, job.name, due if more else job.after(due), portion + 1 if more else 0)
        return len(rows)

    def _tell(self, doing: _Doing, due: datetime) -> None:
        """Where a job catches up: how far it is, and how many dues are still to be done."""
        missed, now = doing.job.missed(due, self._processor.clock.now()), asyncio.get_running_loop().time()
        if missed > 1 and now - doing.told_at > _TOLD_SECONDS:
            doing.told_at = now
            log().info("job catches up", name=doing.job.name, due=due.isoformat(), count=missed - 1)


async def next_dues(db: Connection, names: Iterable[str]) -> dict[str, tuple[datetime, int]]:
    """When these jobs are due next, and how many portions of that due are done; without jobs that were never due."""
    rows: Sequence[Any] = await db.fetch(_KNOWN, list(names))
    return {row["name"]: (row["next_due"], row["portion"]) for row in rows}
