"""The way back in: messages set aside are decided again once their fact has come, their time is up or on release.

A wait's time is up when its deadline has passed *and* everything said until then has been heard (``hearing.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from services.chassis import set_aside
from services.chassis.database import Connection, Pool, Pooled, describe, transaction
from services.chassis.failures import NotDecidable
from services.chassis.isolating import Session, isolate
from services.chassis.logs import Episode, log
from services.chassis.pauses import Pause
from services.chassis.processing import Effects, Processor, Work
from services.chassis.records import decode_record
from services.chassis.service import Heard
from services.chassis.set_aside import Aside

__all__ = ["Reentry", "one_at_a_time"]

_LONGEST_PAUSE = 1.0
_ONE_AT_A_TIME = 0x5C_02


async def one_at_a_time(db: Connection) -> None:
    """Keep everybody else from deciding or releasing what is set aside until this transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", _ONE_AT_A_TIME)


class Reentry:
    """A worker per process; an advisory lock lets one batch at a time run over all instances, so order holds."""

    def __init__(self, processor: Processor, pool: Pool, wake_relay: asyncio.Event, heard: Heard) -> None:
        self.processor = processor
        self.pool = pool
        self.wake = asyncio.Event()
        self._pause = Pause(_LONGEST_PAUSE, self.wake)
        self._wake_relay = wake_relay
        self._heard = heard
        self._episode = Episode("re-entry failed")
        self._entries = processor.service.entries()

    @property
    def trouble(self) -> Episode | None:
        """Why what is set aside does not come back in; None while it does."""
        return self._episode if self._episode.active else None

    async def run(self) -> None:
        """Work until cancelled; what the database is at fault for is tried again."""
        while True:
            try:
                while await self.once():
                    self._wake_relay.set()
                    self._pause.found()
                self._episode.over()
            except Exception as error:
                self._episode.met(error)
                await asyncio.sleep(1)
            await self._pause.wait()

    async def once(self, limit: int = 500) -> int:
        """Decide what is ready, or else what has waited long enough; gives how many messages were applied or given
        another reason."""
        now = self.processor.clock.now()
        async with Pooled(self.pool) as pooled:
            session = Session(pooled.db, self._episode, pooled.renew)
            held = await self.processor.held(session.db)
            topics = [name for name, (_, stream) in self._entries.items() if stream.group not in held]
            due = await set_aside.first_deadline(session.db, topics, now)
            heard = None if due is None else self._heard(due)
            # Ready ones first: one of them may bring the fact whose time is up, and it was heard in time.
            if done := await self._decide(session, await set_aside.rows_of(session.db, topics, None, limit), now, None):
                return done
            if heard is None:
                return 0
            return await self._decide(session, await set_aside.rows_of(session.db, topics, heard, limit), now, heard)

    async def _decide(self, session: Session, rows: Sequence[Aside], now: datetime, heard: datetime | None) -> int:
        if not rows:
            return 0

        async def commit(some: Sequence[Aside]) -> int:
            return await self._commit(session.db, some, now, heard)

        async def give_up(row: Aside, error: Exception) -> int:
            log().error("message set aside again", detail=describe(error))
            await self._raise_again(session.db, row, error)
            return 1

        return sum(await isolate(rows, commit, give_up, session))

    async def _commit(self, db: Connection, rows: Sequence[Aside], now: datetime, heard: datetime | None) -> int:
        effects = Effects()
        async with transaction(db):
            await one_at_a_time(db)
            works = [self._work(row) for row in await set_aside.decidable(db, rows, heard)]
            await self.processor.decide(db, works, effects, now, heard)
            effects.parked.clear()  # they are parked already; what remains keeps them so
            await self.processor.write(db, effects, None)
            # Only subjects locked by this batch: another one may be parking just now.
            await set_aside.unpark(db, {w.aside.subject for w in works if w.aside and w.aside.subject is not None})
        return len(effects.applied) + len(effects.asides)

    async def _raise_again(self, db: Connection, row: Aside, error: Exception) -> None:
        detail = describe(error)
        raised = Aside(
            row.record, "raised", row.received_at, row.subject, None, None, detail, row.attempts + 1, row.seq
        )
        async with db.transaction():
            await set_aside.rewrite(db, [raised])

    def _work(self, row: Aside) -> Work:
        entry, stream = self._entries[row.record.topic]
        candidate = decode_record(row.record, entry, stream.sources)
        if candidate.event is None:
            raise NotDecidable(f"cannot be decoded any more: {candidate.error}")
        return Work(self.processor.inbound(candidate.event, row.record.topic, row.received_at), row.record, row)
