"""Live batches: decides and commits records of a group, and isolates a message that the database refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from aiokafka import TopicPartition

from contracts.envelope import ContractError
from contracts.topics import TopicEntry
from services.chassis.base import metrics
from services.chassis.base.database import Batch, Connection, describe
from services.chassis.base.failpoints import failpoint
from services.chassis.base.failures import FailureClass
from services.chassis.base.halving import halves
from services.chassis.base.logs import Episode, log
from services.chassis.base.overtaking import decided_again
from services.chassis.batch import inbox
from services.chassis.batch.isolating import Session, isolate
from services.chassis.batch.naming import Cause
from services.chassis.batch.processing import Effects, Processor, Work
from services.chassis.batch.reasons import AsideReason
from services.chassis.batch.set_aside import Aside
from services.chassis.decisions import Send
from services.chassis.log.positions import FenceLost
from services.chassis.log.records import Candidate, Record, decode_record
from services.chassis.service import Stream, Undecodable

__all__ = ["LiveBatches"]


class LiveBatches:
    """Applies records of one group over one connection, and moves on the next offset of each of its partitions.

    ``known``: the next offsets. A lane hands in its own dictionary and keeps it when the connection is replaced.
    """

    def __init__(
        self,
        processor: Processor,
        stream: Stream,
        connection: Connection,
        known: dict[TopicPartition, int] | None = None,
        episode: Episode | None = None,
        renew: Callable[[], Awaitable[Connection]] | None = None,
    ) -> None:
        self.processor = processor
        self.stream = stream
        self.storage = processor.storage
        told = episode or Episode("batch not applied", group=stream.group)
        self.session = Session(connection, told, renew, self.storage)
        self.next: dict[TopicPartition, int] = {} if known is None else known
        self._entries: dict[str, TopicEntry] = {entry.name: entry for entry in stream.topics}

    @property
    def connection(self) -> Connection:
        """The connection at present: one that the database ended is replaced within a batch."""
        return self.session.db

    async def apply(self, records: Sequence[Record], standing: Mapping[TopicPartition, int] | None = None) -> Effects:
        """Apply records, grouped by partition and in order within each. Gives what they led to, after the commit.

        ``standing`` are the offsets that were known when the records were taken: the fence compares with these, so
        that a rebalance in between cannot lend the batch newer ones. Raises ``FenceLost`` (nothing changed) and
        whatever the database itself is at fault for (the same again later).
        """
        candidates = [decode_record(record, self._entries[record.topic], self.stream.sources) for record in records]
        fence = dict(self.next if standing is None else standing)
        try:
            return await self._hopefully(candidates, fence)
        except Exception as error:
            kind = await self.session.blame(error)
            # A constraint or the data itself: the second decision sees fresh state and refuses in the ordinary way.
            log().warning("batch decided again", group=self.stream.group, detail=describe(error))
        # What took too long together is not tried together again.
        parts = halves(candidates) if kind is FailureClass.OUT_OF_TIME else (candidates,)
        commit, give_up = partial(self._commit, fence=fence), partial(self._give_up, fence=fence)
        return _together(await isolate(parts, commit, give_up, self.session))

    async def _hopefully(self, candidates: Sequence[Candidate], fence: dict[TopicPartition, int]) -> Effects:
        """Take it that nothing was seen before; where something was, nothing has happened and it is done again."""
        try:
            return await self._commit(candidates, fence, hopeful=True)
        except inbox.SeenBefore:
            return await self._commit(candidates, fence)

    async def _give_up(self, candidate: Candidate, error: Exception, fence: dict[TopicPartition, int]) -> Effects:
        """Set aside what fails alone and again."""
        log().error("message set aside", group=self.stream.group, detail=describe(error), **_place(candidate.record))
        try:
            return await self._commit([candidate], fence, failed=error)
        except Exception as again:
            await self.session.blame(again)
        # Not even its id or its subject can be written: its bytes are kept, and nothing stands behind it.
        return await self._moved([candidate.record], fence, partial(self._keep_bytes, candidate.record, error))

    async def _commit(
        self,
        candidates: Sequence[Candidate],
        fence: dict[TopicPartition, int],
        failed: Exception | None = None,
        *,
        hopeful: bool = False,
    ) -> Effects:
        records = [candidate.record for candidate in candidates]
        effects = await self._moved(records, fence, partial(self._decide, candidates, failed, hopeful))
        dropped = sum(candidate.event is not None and candidate.event.trace_dropped for candidate in candidates)
        metrics.own().traces_dropped.labels(self.stream.group).inc(dropped)
        return effects

    async def _moved(
        self,
        records: Sequence[Record],
        fence: dict[TopicPartition, int],
        decide: Callable[[Effects], Awaitable[None]],
    ) -> Effects:
        """One transaction: the offsets move on behind these records, and what was decided is written."""
        last = {TopicPartition(record.topic, record.partition): record for record in records}
        if not last.keys() <= fence.keys():
            raise FenceLost  # a rebalance took a partition between the fetch and now
        return await decided_again(self.stream.group, partial(self._once, last, fence, decide))

    async def _once(
        self,
        last: Mapping[TopicPartition, Record],
        fence: dict[TopicPartition, int],
        decide: Callable[[Effects], Awaitable[None]],
    ) -> Effects:
        effects = Effects()
        db, group = self.connection, self.stream.group
        async with self.storage.transaction(db):
            await self.storage.advance(db, group, list(last.values()), [fence[tp] for tp in last])
            await decide(effects)
            await self.processor.write(db, effects, group)
            failpoint("P2")
        for tp, record in last.items():
            fence[tp] = record.last + 1
            if tp in self.next:  # or it was taken away meanwhile: this batch still counted, the next one is not ours
                self.next[tp] = record.last + 1
        return effects

    async def _decide(
        self, candidates: Sequence[Candidate], failed: Exception | None, hopeful: bool, effects: Effects
    ) -> None:
        now = self.processor.clock.now()
        told = failed is None  # or the answer to it may be what fails
        for candidate in candidates:
            if candidate.error is not None:
                self._turn_away(candidate, candidate.error, effects, now, told=told)
        fresh, reused, _ = await inbox.first_sightings(
            self.connection,
            [candidate for candidate in candidates if candidate.event is not None],
            self.storage.enter,
            hopeful=hopeful,
        )
        for candidate in reused:
            self._turn_away(candidate, _reused(candidate), effects, now, told=told)
        works = [
            self.processor.work(candidate.event, candidate.record, self._entries[candidate.record.topic], now)
            for candidate in fresh
            if candidate.event is not None
        ]
        if failed is None:
            await self.processor.decide(self.connection, works, effects)
        else:
            await self._set_failed_aside(works, effects, failed)

    async def _set_failed_aside(self, works: Sequence[Work], effects: Effects, failed: Exception) -> None:
        """What fails alone and again: raised, with its subject parked, though its states could not be touched."""
        for work in works:
            subject = self.processor.service.subject(work.inbound)
            parked = await Batch(self.connection, self.storage.lock).lock([subject])
            reason: AsideReason = "behind" if parked else "raised"
            detail = describe(failed)
            effects.asides.append(Aside(work.record, reason, work.inbound.received_at, subject, detail=detail, tries=1))
            effects.parked.add(subject)

    async def _keep_bytes(self, record: Record, failed: Exception, effects: Effects) -> None:
        now = self.processor.clock.now()
        effects.asides.append(Aside(record, "unwritable", now, detail=describe(failed), tries=1))

    def _turn_away(
        self, candidate: Candidate, error: ContractError, effects: Effects, now: datetime, *, told: bool = True
    ) -> None:
        """Set aside what nobody decides, and tell its sender: both stand in one transaction, so once."""
        effects.asides.append(Aside(candidate.record, error.reason, now, detail=str(error)))
        answers = self._refusal(candidate.record, error) if told else ()
        # It may have no id, or that of another message: where it stands in the log is what it causes things by.
        effects.rows += self.processor.outgoing(answers, Cause.place(candidate.record), now)

    def _refusal(self, record: Record, error: ContractError) -> Sequence[Send]:
        if self.processor.service.refuse is None:
            return ()
        key = "" if record.key is None else record.key.decode("utf-8", "replace")
        readable = key if key.isprintable() and 0 < len(key) <= 200 else None
        unreadable = Undecodable(record.topic, record.partition, record.offset, readable, error)
        return list(self.processor.service.refuse(unreadable))


def _reused(candidate: Candidate) -> ContractError:
    """What is wrong with a message of the contract whose id another one had."""
    event = candidate.event
    assert event is not None
    error = ContractError("reused_id", "another message with this id was seen before, and its content counts", "/id")
    error.id, error.source, error.type = event.id, event.source, event.type
    return error


def _place(record: Record) -> dict[str, Any]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def _together(parts: Sequence[Effects]) -> Effects:
    """What the parts of a batch led to, as far as anybody asks."""
    return Effects(
        rows=[row for part in parts for row in part.rows],
        timers={name: timer for part in parts for name, timer in part.timers.items()},
        asides=[aside for part in parts for aside in part.asides],
        applied=[work for part in parts for work in part.applied],
        made_ready=sum(part.made_ready for part in parts),
    )
