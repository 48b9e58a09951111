"""Takes in letters in batches, each once: messages that were sent in our name, and messages that the linkage tells us.

It is a client of its own, without the linkage's reader. It has all codecs, and stands still at a batch that it cannot
read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import ContractError, decode
from contracts.topics import DELIVERIES, INBOUND, RECEIPTS, REFUSALS, TopicEntry, registry_source, service_source
from deploy.header_names import any_name_taken
from deploy.tryout.sandbox import books, ledger
from deploy.tryout.sandbox.database import Connection, Pool
from deploy.tryout.sandbox.entries import Credit, Letter, Query
from deploy.tryout.sandbox.kafka_native.letters import letter
from deploy.tryout.sandbox.kafka_native.receipts import Publisher, write
from deploy.tryout.sandbox.mischief import Mischief
from deploy.tryout.sandbox.settings import SandboxSettings, Seat

__all__ = ["Reader"]

_POSITIONS = "SELECT topic, partition, next_offset FROM position"
_MOVE = """
INSERT INTO position (topic, partition, next_offset) SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""
_BATCH = 500
_WAIT_MS = 250

Records = Mapping[TopicPartition, Sequence[Any]]


class Reader:
    """The only reader of this registry. It keeps its positions by itself, so it needs no consumer group."""

    def __init__(
        self, settings: SandboxSettings, seat: Seat, pool: Pool, mischief: Mischief, publisher: Publisher
    ) -> None:
        self._settings = settings
        self._seat = seat
        self._pool = pool
        self._mischief = mischief
        self._publisher = publisher
        self._own = [entry.of(seat.code) for entry in INBOUND if entry is not RECEIPTS]
        self._told = [DELIVERIES.of(seat.code), REFUSALS.of(seat.code)]
        self._own_names = {entry.name for entry in self._own}
        self.ready = False

    async def run(self) -> None:
        """Read until cancelled, or until a failure. The next run reads from the stored positions."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted" if self._settings.profile == "embedded" else "read_committed",
            # Kafka answers as soon as something comes; the embedded broker answers after a part of this time.
            fetch_max_wait_ms=200 if self._settings.profile == "embedded" else 500,
        )
        try:
            await consumer.start()
            with any_name_taken():
                await self._read(consumer)
        finally:
            self.ready = False
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        told = _partitions(self._told)
        consumer.assign([*_partitions(self._own), *told])
        for row in await self._pool.fetch(_POSITIONS):
            consumer.seek(TopicPartition(row["topic"], row["partition"]), row["next_offset"])
        self.ready = True
        down = False
        while True:
            if self._mischief.down != down:
                down = not down
                (consumer.pause if down else consumer.resume)(*told)
            # The linkage's messages are fetched first, so that no flood of our own messages delays a credit.
            for fetch in (partial(consumer.getmany, *told), partial(consumer.getmany, timeout_ms=_WAIT_MS)):
                records = await fetch(max_records=_BATCH)
                if self._mischief.down:
                    # The registry went down while this fetch was under way. The messages that were told then are read
                    # again later.
                    for tp in [tp for tp in records if tp in told]:
                        consumer.seek(tp, records.pop(tp)[0].offset)
                if records:
                    await self._take_in(records)

    async def _take_in(self, records: Records) -> None:
        letters = self._letters(records)
        moved = [(tp.topic, tp.partition, batch[-1].offset + 1) for tp, batch in records.items() if batch]
        if any(isinstance(one.entry, Credit) for one in letters):
            await asyncio.sleep(self._mischief.delay())
        async with self._pool.acquire() as connection, connection.transaction():
            answered = await self._apply(connection, letters)
            await connection.execute(_MOVE, *map(list, zip(*moved, strict=True)))
        if answered:
            self._publisher.wake()

    async def _apply(self, connection: Connection, letters: Sequence[Letter]) -> int:
        now = datetime.now(UTC)
        fresh = await books.keep(connection, letters)
        asked = [one.entry for one in fresh if isinstance(one.entry, Credit | Query)]
        answers = await ledger.answer(connection, self._seat, self._mischief, asked, now)
        return await write(connection, self._seat.code, answers, now)

    def _letters(self, records: Records) -> list[Letter]:
        """Our own letters come first, since the linkage's messages follow from them."""
        found = []
        for tp in sorted(records, key=lambda tp: (tp.topic not in self._own_names, tp)):
            own = tp.topic in self._own_names
            speaker = registry_source(self._seat.code) if own else service_source("bridge")
            for record in records[tp]:
                one = _letter(record, own=own, speaker=speaker)
                if one is not None:
                    found.append(one)
        return found


def _letter(record: Any, *, own: bool, speaker: str) -> Letter | None:
    place = f"{record.topic}/{record.partition}/{record.offset}"
    try:
        event = decode(record.value, record.headers)
    except ContractError as error:
        structlog.get_logger().warning("letter_unreadable", place=place, error=str(error))
        return None
    if event.source != speaker:
        structlog.get_logger().warning("letter_of_a_stranger", place=place, source=event.source)
        return None
    return letter(event, own=own)


def _partitions(entries: Iterable[TopicEntry]) -> list[TopicPartition]:
    return [TopicPartition(entry.name, number) for entry in entries for number in range(entry.partitions)]
