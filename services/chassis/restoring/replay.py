"""The replay: messages that came since the dump are decided again, in the order in which they were decided before.

The clock shows the moment of each decision, so windows and waits end as they did. The messages that the service sent
then are read first: they tell these moments, and none of them is sent twice (``said.sift``). A replay that is stopped
begins again from what is committed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.aside.reentry import Reentry
from services.chassis.base.clock import Clock
from services.chassis.base.database import Connection, Pool
from services.chassis.base.settings import Settings
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.naming import Cause
from services.chassis.batch.passed import Between, passed_at
from services.chassis.batch.processing import Effects, Processor, Work
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import Storage
from services.chassis.log import kafka, positions
from services.chassis.log.records import Record, decode_record
from services.chassis.outgoing import said, silent
from services.chassis.restoring.asides import Asides, Moments, over
from services.chassis.restoring.jobs import Jobs, earliest
from services.chassis.restoring.means import PRODUCTION, Means
from services.chassis.restoring.merging import Merged, Moment, Taken
from services.chassis.restoring.spans import Spans
from services.chassis.service import Service, Stream

__all__ = ["Replay"]

_AHEAD: Final = 300
"""Records of a partition that are read ahead at least, if there are so many."""
_READ: Final = 2000
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Shown(Clock):
    """A clock that shows the moment of the decision that is made again. It never goes back."""

    def __init__(self, offset: timedelta) -> None:
        super().__init__(offset)
        self._moment = _EPOCH

    def show(self, moment: datetime) -> None:
        """From now on it is this moment, or later."""
        self._moment = max(self._moment, moment)

    def passes(self, moment: datetime) -> None:
        """A decision was made at this moment: the next transaction is later, as if a commit took time here too."""
        self.show(moment + _MICROSECOND)

    def now(self) -> datetime:
        """The moment shown."""
        return self._moment


class _Again(Processor):
    """Decides each message at the moment at which it was decided for good, as far as that moment is known.

    A message that waits at that moment has waited its time out: in the later life its channels were heard.
    """

    def __init__(self, service: Service, settings: Settings, shown: _Shown, storage: Storage) -> None:
        super().__init__(service, settings, shown, storage)
        self._shown = shown
        self._moments: dict[tuple[str, int, int], datetime] = {}
        self._open: set[tuple[str, int, int]] = set()

    def at(self, moments: Iterable[tuple[Record, datetime]], overtaken: Iterable[Record] = ()) -> None:
        """For the next batch: these messages are decided for good, at these moments. Messages that may have been
        ``overtaken`` by messages behind them may still wait for those."""
        self._moments = {_place(record): moment for record, moment in moments}
        self._open = {_place(record) for record in overtaken}

    def moment(self, work: Work, now: datetime) -> datetime:
        """That moment; for other messages the time of the clock."""
        moment = self._moments.get(_place(work.record), now)
        self._shown.passes(moment)  # this batch has read the clock already
        return moment

    def ends_unheard(self, work: Work) -> bool:
        """Whether the later life decided this message for good at its moment."""
        return _place(work.record) in self._moments and _place(work.record) not in self._open


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


class Replay:
    """One replay of one database, over connections of its own."""

    def __init__(
        self, service: Service, settings: Settings, pool: Pool, clock: Clock, means: Means = PRODUCTION
    ) -> None:
        self.service = service
        self.settings = settings
        self.pool = pool
        self._means = means
        self._now = clock.now()
        self._clock = _Shown(clock.offset)
        self._processor = _Again(service, settings, self._clock, means.storage)
        self._reentry = Reentry(self._processor, pool, asyncio.Event(), lambda _, due: due)
        self._jobs = Jobs(self._processor, pool)
        self._entries = service.entries()
        self._streams: dict[str, Stream] = {}
        self._batches: dict[str, LiveBatches] = {}
        self._spans: Mapping[TopicPartition, tuple[int, int]] = {}
        self._merged = Merged()
        self._silent = silent.Silent(None, None)
        self.total = 0
        self.done = 0
        """Messages of the log that are applied, of ``total``."""

    async def run(self, db: Connection, client: str) -> None:
        """Apply all that lies in the log at this moment. Raises ``LogMismatch``, ``FenceLost``, and what the database
        and the broker raise."""
        paused = await self._processor.paused_groups(db)
        streams = [stream for stream in self.service.streams if stream.group not in paused]
        self._streams = {entry.name: stream for stream in streams for entry in stream.topics}
        places = [
            TopicPartition(entry.name, number)
            for stream in streams
            for entry in stream.topics
            for number in range(entry.partitions)
        ]
        if not places:
            return
        reader = await self._means.open_reader(self.settings, client, places)
        try:
            await self._start(reader, streams, places)
            self._silent = await silent.silent(db)
            asides = Asides(db, list(self._streams), self._replay_moments(db))
            await self._apply_all(db, Spans(reader, self._spans), asides)
        finally:
            await reader.stop()
            for batches in self._batches.values():
                batches.connection.terminate()

    async def _start(self, reader: AIOKafkaConsumer, streams: Sequence[Stream], places: list[TopicPartition]) -> None:
        by_fetch = self.settings.embedded_broker
        begins = await kafka.beginnings(reader, places)
        ends = await kafka.ends(reader, places, by_fetch=by_fetch)
        spans: dict[TopicPartition, tuple[int, int]] = {}
        for stream in streams:
            names = {entry.name for entry in stream.topics}
            mine = {tp: begins[tp] for tp in places if tp.topic in names}
            stored = await positions.read(self.pool, stream.group, mine)
            await positions.verify(reader, stored, ends_by_fetch=by_fetch)
            known = {tp: position.next_offset for tp, position in stored.items()}
            renew = partial(self._means.session, self._processor, f"{stream.group}-replay")
            batches = LiveBatches(self._processor, stream, await renew(), known, renew=renew)
            self._batches[stream.group] = batches
            spans |= {tp: (at, ends[tp]) for tp, at in known.items()}
        self._spans = spans
        self.total = sum(end - begin for begin, end in spans.values())

    async def _apply_all(self, db: Connection, spans: Spans, asides: Asides) -> None:
        await self._read_ahead(db, spans)
        await asides.renew()
        await self._jobs.renew(db)
        # A message that is ready now was ready before the next message was decided, so its moment is not later.
        self._clock.show(min(self._now, earliest(self._merged.next, asides.next, self._jobs.next) or self._now))
        await self._decide_ready(asides)
        while True:
            await self._read_ahead(db, spans)
            moment, due_at, job = self._merged.next, asides.next, self._jobs.next
            if job is not None and (other := earliest(moment, due_at)) is not None and job < other:
                self._clock.show(job)
                await self._jobs.do_next(db)
                continue
            due = due_at is not None and (moment is None or due_at < moment)
            if due and due_at is not None and (first := self._merged.take_unsaid(due_at)):
                await self._apply(first)
            elif due:
                await self._decide_next(asides, earliest(moment, job))
            elif moment is not None:
                effects = await self._apply(self._merged.take(self.settings.batch, self._group, earliest(due_at, job)))
                if not effects.asides and not effects.made_ready:
                    continue
            else:
                return
            await self._decide_ready(asides)

    async def _decide_ready(self, asides: Asides) -> None:
        """Decide the messages that are ready and have no replay moment to come."""
        self._processor.at(())
        await asides.renew()
        while rows := await asides.ready():
            if not await self._decide(rows):
                break

    def _group(self, topic: str) -> str:
        return self._streams[topic].group

    async def _apply(self, taken: Sequence[Taken]) -> Effects:
        self._clock.show(taken[0].replay_at)
        final = [one for one in taken if one.final]
        self._processor.at(
            ((one.record, one.replay_at) for one in final), (one.record for one in final if one.overtaken)
        )
        effects = await self._batches[self._group(taken[0].record.topic)].apply([one.record for one in taken])
        self.done += sum(one.record.last - one.record.offset + 1 for one in taken)
        return effects

    async def _decide_next(self, asides: Asides, before: datetime | None) -> None:
        """Decide the messages set aside that the later life decided next."""
        due, rows = await asides.due(before)
        self._clock.show(min(due.values()))
        self._processor.at((row.record, due[row.seq]) for row in rows if row.seq in due)
        await self._decide(rows)
        asides.done(due)

    async def _decide(self, rows: Sequence[Aside]) -> int:
        by_stream: dict[str, list[Aside]] = defaultdict(list)
        for row in rows:
            by_stream[self._group(row.record.topic)].append(row)
        heard = over(rows)
        streams = {stream.group: stream for stream in self._streams.values()}
        return sum([await self._reentry.decide(some, heard, streams[group]) for group, some in by_stream.items()])

    async def _read_ahead(self, db: Connection, spans: Spans) -> None:
        """Read ahead: nothing is decided before the next record of every partition is known."""
        wanted = [tp for tp in spans.left if self._merged.ahead((tp.topic, tp.partition)) < _AHEAD]
        while wanted:
            for records in (await spans.more(wanted, _READ)).values():
                if records:
                    self._merged.add(await self._moments(db, records))
            wanted = [tp for tp in spans.left if not self._merged.ahead((tp.topic, tp.partition))]

    async def _moments(self, db: Connection, records: Sequence[Record]) -> list[Moment]:
        causes = [self._causes(record) for record in records]
        ids = {cause: self._processor.naming.send_id(cause, 0) for some in causes for cause in some}
        told = await said.moments(db, self.service.source, list(ids.values()))
        passed = await silent.passed(db, records)
        return [
            Moment(
                record,
                next((told[ids[one]] for one in some if ids[one] in told), None),
                self._earliest(record, passed),
            )
            for record, some in zip(records, causes, strict=True)
        ]

    def _earliest(self, record: Record, passed: Mapping[int, Between]) -> datetime:
        """The earliest moment at which a record can have been decided that said nothing."""
        written = self._written(record)
        return passed_at(written, passed.get(record.offset) or self._silent.untold(written))

    def _causes(self, record: Record) -> list[Cause]:
        """The causes from which the ids of its messages may follow: the message, or its place if its id was reused."""
        entry, stream = self._entries[record.topic]
        event = decode_record(record, entry, stream.sources).event
        place = Cause.place(record)
        return [place] if event is None else [Cause.message(event, record), place]

    def _written(self, record: Record) -> datetime:
        # A stranger may have written the time, and the clock shown never goes back.
        real = min(max(record.timestamp, 0), int(self._now.timestamp() * 1000))
        return _EPOCH + timedelta(milliseconds=real)

    def _replay_moments(self, db: Connection) -> Moments:
        async def moments(rows: Sequence[Aside]) -> Mapping[int, datetime]:
            ids: dict[str, int] = {}
            for row in rows:
                causes = [Cause.released(row.record)] if row.own_right else self._causes(row.record)
                ids |= {self._processor.naming.send_id(cause, 0): row.seq or 0 for cause in causes}
            told = await said.moments(db, self.service.source, list(ids))
            return {ids[id]: moment for id, moment in told.items()}

        return moments
