"""Re-entry: messages set aside are decided again when their fact is known, their time is up or on release.

A wait's time is up when its deadline has passed *and* all is applied that lay until then on the channels that can bring
its fact (``hearing.py``). Each consumer group has its own turn and its own transactions, so that neither a crowd nor a
failure of one keeps another's messages waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from services.chassis.base.backoff import Backoff
from services.chassis.base.database import Connection, Pool, Pooled, describe
from services.chassis.base.failures import NotDecidable
from services.chassis.base.logs import Episode, log
from services.chassis.base.overtaking import decided_again
from services.chassis.base.persistent import persistent
from services.chassis.base.polling import Polling
from services.chassis.batch.isolating import Session, isolate
from services.chassis.batch.processing import Effects, Processor, Work
from services.chassis.batch.set_aside import Aside, decidable
from services.chassis.channels import topics as topics_of
from services.chassis.log.records import decode_record
from services.chassis.service import Heard, Stream

__all__ = ["Reentry"]

_LONGEST_INTERVAL = 1.0
_SHORTEST_BACKOFF = 2.0
_LONGEST_BACKOFF = 8.0


class Reentry:
    """A worker per process; an advisory lock lets one batch at a time run over all instances, so order holds."""

    def __init__(self, processor: Processor, pool: Pool, wake_relay: asyncio.Event, heard: Heard) -> None:
        self.processor = processor
        self.storage = processor.storage
        self.pool = pool
        self.wake = asyncio.Event()
        self._polling = Polling(_LONGEST_INTERVAL, self.wake)
        self._wake_relay = wake_relay
        self._heard = heard
        self._episode = Episode("re-entry failed")
        self._entries = processor.service.entries()
        groups = [stream.group for stream in processor.service.streams]
        self._of_group = {group: Episode("re-entry failed", group=group) for group in groups}
        self._backoffs = {group: Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF) for group in groups}

    @property
    def trouble(self) -> Episode | None:
        """Why what is set aside does not come back in; None while it does."""
        return next((one for one in (self._episode, *self._of_group.values()) if one.active), None)

    async def run(self) -> None:
        """Work until cancelled; what the database is at fault for is tried again."""
        await persistent(self._round, self._episode)

    async def _round(self) -> None:
        while await self.once():
            self._wake_relay.set()
            self._polling.found()
        self._episode.over()
        await self._polling.wait()

    async def once(self, limit: int = 500) -> int:
        """Decide what is ready and what has waited long enough, of each group up to ``limit`` subjects a topic; gives
        how many messages were applied or given another reason."""
        now = self.processor.clock.now()
        async with Pooled(self.pool) as pooled:
            paused = await self.processor.paused_groups(pooled.db)
            streams = [stream for stream in self.processor.service.streams if stream.group not in paused]
            topics = [entry.name for stream in streams for entry in stream.topics]
            ready = await self.storage.ready_topics(pooled.db, topics)
            over = await self.storage.first_deadlines(pooled.db, topics, now)
        heard = self._heard_out(over, ready)
        active = ready | {topic for topic, channels, _ in over if channels in heard}
        done = 0
        for stream in streams:
            if mine := [entry.name for entry in stream.topics if entry.name in active]:
                done += await self._turn(stream, mine, heard, limit)
            else:
                self._works(stream.group)
        return done

    def _heard_out(self, over: Sequence[tuple[str, str, datetime]], ready: set[str]) -> dict[str, datetime]:
        """Moments up to which all is applied that lay on these channels, by the names of the channels."""
        heard: dict[str, datetime] = {}
        for _, channels, deadline in over:
            moment = self._heard(channels, deadline)
            # What is ready may bring the fact, and it was heard in time: it comes first.
            if moment is not None and ready.isdisjoint(topics_of(channels)):
                heard[channels] = moment
        return heard

    async def _turn(self, stream: Stream, topics: Sequence[str], heard: Mapping[str, datetime], limit: int) -> int:
        """One batch of a group. After a failure the group has no turn for a while; other groups have theirs."""
        group, episode, backoff = stream.group, self._of_group[stream.group], self._backoffs[stream.group]
        if backoff.left:
            return 0
        try:
            async with Pooled(self.pool) as pooled:
                session = Session(pooled.db, episode, pooled.renew, self.storage)
                if stream.backlog_limit is not None and await self.storage.backlog(
                    session.db, group, stream.backlog_limit
                ):
                    return 0
                rows = await self.storage.rows_of(session.db, topics, heard, limit)
                done = await self._decide(session, rows, heard, group)
        except Exception as error:
            episode.met(error)
            backoff.failed()
            return 0
        self._works(group)
        return done

    def _works(self, group: str) -> None:
        self._of_group[group].over()
        self._backoffs[group].over()

    async def decide(self, rows: Sequence[Aside], heard: Mapping[str, datetime], stream: Stream) -> int:
        """Decide these rows of a group in a replay; what comes of a failure of the database is raised."""
        async with Pooled(self.pool) as pooled:
            session = Session(pooled.db, self._of_group[stream.group], pooled.renew, self.storage)
            return await self._decide(session, rows, heard, stream.group)

    async def _decide(self, session: Session, rows: Sequence[Aside], heard: Mapping[str, datetime], group: str) -> int:
        if not rows:
            return 0

        async def commit(some: Sequence[Aside]) -> int:
            return await decided_again("re-entry", lambda: self._commit(session.db, some, heard, group))

        async def give_up(row: Aside, error: Exception) -> int:
            log().error("message set aside again", detail=describe(error))
            await self._raise_again(session.db, row, error)
            return 1

        return sum(await isolate([rows], commit, give_up, session))

    async def _commit(self, db: Connection, rows: Sequence[Aside], heard: Mapping[str, datetime], group: str) -> int:
        effects = Effects()
        async with self.storage.transaction(db):
            await self.storage.one_at_a_time(db)
            found = await self.storage.still_first(db, [row.seq for row in rows if row.seq is not None])
            works = [self._work(row) for row in decidable(found, heard)]
            await self.processor.decide(db, works, effects, heard)
            effects.parked.clear()  # they are parked already; what remains keeps them so
            await self.processor.write(db, effects, group)
            # Only subjects locked by this batch: another one may be parking just now.
            await self.storage.unpark(db, {w.aside.subject for w in works if w.aside and w.aside.subject is not None})
        return len(effects.applied) + len(effects.asides)

    async def _raise_again(self, db: Connection, row: Aside, error: Exception) -> None:
        detail = describe(error)
        raised = Aside(row.record, "raised", row.received_at, row.subject, None, None, detail, row.tries + 1, row.seq)
        async with self.storage.transaction(db):
            await self.storage.rewrite(db, [raised])

    def _work(self, row: Aside) -> Work:
        entry, stream = self._entries[row.record.topic]
        candidate = decode_record(row.record, entry, stream.sources)
        if candidate.event is None:
            raise NotDecidable(f"cannot be decoded any more: {candidate.error}")
        return self.processor.work(candidate.event, row.record, entry, row.received_at, row)
