"""A lane: one FastStream batch subscriber of a group with its own connection, its fence and its seeks.

FastStream hands over raw records, since its own decoding loses good messages beside a bad one. It never acknowledges:
offsets stand in PostgreSQL, Kafka's are a hint. After a failure the lane seeks back to the first record concerned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from services.chassis.base import metrics
from services.chassis.base.database import FAILURES, Connection, Pool, describe
from services.chassis.base.failpoints import failpoint
from services.chassis.base.faults import Stopped
from services.chassis.base.logs import Episode, log
from services.chassis.base.settings import Settings
from services.chassis.batch import outbox
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.movement import Movement
from services.chassis.batch.processing import Effects, Processor
from services.chassis.log import kafka, positions
from services.chassis.log.records import Record, record_of
from services.chassis.service import Stream

__all__ = ["Lane"]

_PAUSED_SECONDS = 1.0
_IDLE_MS = 1000


class Lane(ConsumerRebalanceListener):  # type: ignore[misc]
    """One subscriber; ``ready`` while it knows its partitions and where it stands in them."""

    def __init__(
        self,
        processor: Processor,
        stream: Stream,
        member: str,
        pool: Pool,
        on_commit: Callable[[Effects], None],
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self.processor = processor
        self.stream = stream
        self.settings: Settings = processor.settings
        self.member = member
        self.pool = pool
        self.on_commit = on_commit
        self.on_fatal = on_fatal
        self.ready = asyncio.Event()
        self.movement = Movement(stream.group)
        self._subscriber: Any = None
        self._next: dict[TopicPartition, int] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._batches: LiveBatches | None = None
        self._gaps: set[tuple[TopicPartition, int]] = set()
        self._seek_lock = asyncio.Lock()
        self._connect_lock = asyncio.Lock()

    def subscribe(self, broker: KafkaBroker) -> None:
        """Register with the broker; it starts consuming when the broker does."""
        self._subscriber = broker.subscriber(
            *(entry.name for entry in self.stream.topics),
            batch=True,
            group_id=self.stream.group,
            ack_policy=AckPolicy.MANUAL,
            listener=self,
            parser=kafka.keep_raw,
            decoder=kafka.no_decoding,
            **kafka.consumer_options(self.settings, kafka.static_name(self.member, self.stream.topics)),
        )
        self._subscriber(self._handle)
        self._subscriber.get_msg = self._arrivals

    async def _arrivals(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        """Records as soon as some have come, or none after a while."""
        # FastStream's own sleeps after each empty poll as long as it waited: idle lanes woke up 50 times a second.
        most = min(self.settings.batch, self.stream.most or self.settings.batch)
        try:
            found = await consumer.getmany(timeout_ms=_IDLE_MS, max_records=most)
        except (asyncio.CancelledError, ConsumerStoppedError):
            raise
        except Exception as error:
            # FastStream would tell nobody, or end the subscriber. The client has lost records that it had taken out of
            # other partitions: all are read again.
            self.movement.reading.met(error)
            self._seek_back(())
            await self.movement.back_off()
            return ()
        self.movement.reading.over()
        if not found and (ended := kafka.reading_ended(consumer)) is not None:
            self.on_fatal(Stopped(f"the log is no longer read: {describe(ended)}"))
        if not found and not self.lag():
            self.movement.idle()
        return tuple(chain.from_iterable(found.values()))

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The subscriber's consumer while it runs."""
        return self._subscriber.consumer

    @property
    def trouble(self) -> Episode | None:
        """Why this lane does not move; None while it does, or has nothing to do."""
        return self.movement.trouble

    def lag(self) -> int:
        """Messages in the log behind what this lane has applied, as far as the client knows."""
        return 0 if self.consumer is None else kafka.lag(self.consumer, self._next)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Forget them. The next owner fences a batch that is still under way."""
        failpoint("P10")
        for tp in revoked:
            self._next.pop(tp, None)
        self.movement.applying.over()  # the partition that failed may have another owner now

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Seek to the stored offsets, once the log is proved to be the log of these offsets."""
        await self._take_over_or_say(list(assigned))
        failpoint("P10")

    async def _take_over_or_say(self, assigned: list[TopicPartition]) -> bool:
        """False if it must be tried again: without positions no record is applied, and the lane seeks back."""
        try:
            async with self._seek_lock:
                await self._take_over(assigned)
        except (positions.LogMismatch, kafka.PartitionDrift) as error:
            self.on_fatal(error)
        except Exception as error:
            self.ready.clear()
            self.movement.placing.met(error)
            return False
        self.movement.placing.over()
        return True

    async def _take_over(self, assigned: list[TopicPartition]) -> None:
        await kafka.check_partitions(self.settings, self.stream.topics)
        stored = await self._stored(assigned) if assigned else {}
        positions.not_set_back(stored, self._reached)
        await self._connected()
        self.processor.takes_over({(tp.topic, tp.partition): position.next_offset for tp, position in stored.items()})
        for tp, position in stored.items():
            self.consumer.seek(tp, position.next_offset)
            self._next[tp] = position.next_offset
        self.ready.set()

    async def _stored(self, assigned: list[TopicPartition]) -> dict[TopicPartition, positions.Position]:
        reader = await kafka.open_reader(self.settings, f"{self.member}-check", assigned)
        try:
            stored = await positions.read(self.pool, self.stream.group, await kafka.beginnings(reader, assigned))
            await positions.verify(reader, stored, ends_by_fetch=self.settings.embedded_broker)
        finally:
            await reader.stop()
        return stored

    async def _connected(self) -> LiveBatches:
        # A batch may come in while the offsets of a new assignment are still read, and both want the connection.
        async with self._connect_lock:
            if self._batches is None or self._batches.connection.is_closed():
                db, episode = await self._connection(), self.movement.applying
                self._batches = LiveBatches(self.processor, self.stream, db, self._next, episode, self._connection)
            return self._batches

    async def _connection(self) -> Connection:
        return await self.processor.session(self.member)

    async def _handle(self, raw: Any) -> None:
        failpoint("P1")
        started = time.perf_counter()
        try:
            self.movement.paused = await self._must_wait()
            if self.movement.paused:
                self.movement.idle()
                return self._seek_back(raw)
            records, standing = await self._expected(raw)
            if records:
                batches = await self._connected()
                effects = await batches.apply(records, standing)
                self._reached |= {tp: self._next[tp] for tp in standing.keys() & self._next.keys()}
                applied, asides = len(effects.applied), len(effects.asides)
                metrics.count(self.stream.group, len(records), applied, asides, time.perf_counter() - started)
                failpoint("P3")
                self.on_commit(effects)
                await self._hint(standing)
                self.movement.moved()
        except asyncio.CancelledError:
            self._drop_connection()
            raise
        except positions.FenceLost:
            log().info("offsets moved on elsewhere", group=self.stream.group)
            await self._reread(raw)
        except Exception as error:
            await self._failed(raw, error)

    async def _expected(self, raw: Sequence[ConsumerRecord]) -> tuple[list[Record], dict[TopicPartition, int]]:
        """The records that stand where the stored offsets say, and these offsets.

        Anything else is a surprise: a partition without a known offset, a record before it, a jump over some. Then
        stored offsets are read and the log is verified again, which stops the service if messages are gone; a jump
        in a log that proved whole is believed the second time (transactions leave marks that nobody sees).
        """
        known = dict(self._next)
        assigned = self.consumer.assignment()
        following = dict(known)
        kept: list[Record] = []
        jumps: set[tuple[TopicPartition, int]] = set()
        lost = False
        tp = TopicPartition("", -1)
        for message in raw:
            if message.partition != tp.partition or message.topic != tp.topic:
                tp = TopicPartition(message.topic, message.partition)
            if tp not in assigned:
                continue
            expected = following.get(tp)
            if expected is None or message.offset < expected:
                lost = True
            elif message.offset > expected:
                jumps.add((tp, expected))
            kept.append(record_of(message))
            following[tp] = kept[-1].last + 1
        if lost or jumps - self._gaps:
            self._gaps |= jumps  # all at once: otherwise each new jump would make those before it a surprise again
            await self._reread(raw)
            return [], {}
        self._gaps -= jumps
        return kept, {tp: at for tp, at in known.items() if following[tp] != at}

    async def _must_wait(self) -> bool:
        """Whether this group is paused or has too much in the outbox. If so, waits a little first: it may end soon."""
        stream = self.stream
        if not stream.pausable and stream.backlog_limit is None:
            return False
        db = (await self._connected()).connection
        if stream.pausable and stream.group in await self.processor.paused_groups(db):
            await asyncio.sleep(_PAUSED_SECONDS)
            return True
        if stream.backlog_limit is None:
            return False
        for _ in range(20):
            if not await outbox.backlog(db, stream.group, stream.backlog_limit):
                return False
            await asyncio.sleep(0.05)
        return True

    async def _failed(self, raw: Sequence[ConsumerRecord], error: Exception) -> None:
        self.movement.applying.met(error)
        self._drop_connection()
        await self.movement.back_off()
        self._seek_back(raw)

    def _seek_back(self, raw: Sequence[ConsumerRecord]) -> None:
        """Have these records handed over again: from the known offset, else from the first of them.

        Otherwise they would lie there until another message comes. Without records, all partitions are read again.
        """
        first: dict[TopicPartition, int] = {} if raw else dict(self._next)
        for message in raw:
            first.setdefault(TopicPartition(message.topic, message.partition), message.offset)
        for tp in first.keys() & self.consumer.assignment():
            self.consumer.seek(tp, self._next.get(tp, first[tp]))

    async def _reread(self, raw: Sequence[ConsumerRecord]) -> None:
        """Read the stored offsets of everything assigned again, and seek there; to these records if that fails."""
        if not await self._take_over_or_say(list(self.consumer.assignment())):
            await self.movement.back_off()
        self._seek_back(raw)

    async def _hint(self, touched: Iterable[TopicPartition]) -> None:
        """Tell Kafka where the group stands. This is for displays of lag only, so a failure does not matter."""
        offsets = {tp: self._next[tp] for tp in touched if tp in self._next}
        if not offsets:
            return  # all were taken away meanwhile
        try:
            await self.consumer.commit(offsets)
        except KafkaError as error:
            log().debug("offset hint not taken", group=self.stream.group, detail=str(error)[:200])

    def _drop_connection(self) -> None:
        # A cancelled or broken exchange can leave a transaction open inside the connection: never use it again.
        if self._batches is not None and not self._batches.connection.is_closed():
            self._batches.connection.terminate()

    async def close(self) -> None:
        """Close the lane's connection, after the broker has stopped."""
        if self._batches is None or self._batches.connection.is_closed():
            return
        try:
            await self._batches.connection.close(timeout=5)
        except FAILURES as error:  # otherwise the other steps of the orderly stop would not be done
            log().warning("connection left behind", group=self.stream.group, detail=describe(error))
