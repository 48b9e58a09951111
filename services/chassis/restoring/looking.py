"""Finds out whether this database was restored: whether the log has messages of this service that it does not know.

One statement of the relay deletes acknowledged rows and notes how far the relay wrote. So behind that place the log has
only messages that are still in the outbox (a crash came between), or messages of a *later life*: the time after the
dump, which a restored database does not remember. An operator or the restore command may also mark the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.base.database import Connection
from services.chassis.base.logs import log
from services.chassis.log import kafka
from services.chassis.log.records import Record
from services.chassis.outgoing import said
from services.chassis.restoring.spans import Spans

__all__ = ["Beyond", "is_later", "look", "mark"]

_SAID: Final = "SELECT topic, partition, next_offset FROM said"
_BY: Final = "SELECT by FROM restored"
_MARK: Final = "INSERT INTO restored (by) VALUES ($1) ON CONFLICT DO NOTHING"
_BEGUN: Final = "SELECT EXISTS (SELECT FROM consumed)"
_OUTBOX: Final = "SELECT headers, value FROM outbox ORDER BY id"


@dataclass(frozen=True)
class Beyond:
    """Of each partition that this service writes and does not read: the records behind the place up to which this
    database knows that the service has written."""

    spans: Mapping[TopicPartition, tuple[int, int]]
    by: str | None
    """Who marked the database as restored; None if nobody did."""
    whole: bool = True
    """Whether all partitions were looked at: each has a leader."""

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """Where the partitions ended when they were looked at."""
        return {(tp.topic, tp.partition): end for tp, (_, end) in self.spans.items()}


async def mark(db: Connection, by: str) -> None:
    """Mark the database as restored; the replay takes the mark away. Without effect if there is a mark."""
    await db.execute(_MARK, by)


async def look(
    db: Connection, reader: AIOKafkaConsumer | None, places: Sequence[TopicPartition], *, ends_by_fetch: bool
) -> Beyond:
    """Compare what the database knows with where these partitions begin and end.

    A database from before this was kept knows no partition: all records there count as its own. Otherwise a partition
    that it does not know counts from its beginning, and is known from now on. A log that is shorter, or begins later,
    than the database knows makes one log line and stops nobody: the positions of the inputs are checked anyway.

    Raises ``RuntimeError`` while a partition has no leader and its end has to be known.
    """
    by = await db.fetchval(_BY)
    if reader is None:
        return Beyond({}, by)
    led = sorted(kafka.led(reader, places))
    whole = len(led) == len(places)
    stored = {TopicPartition(row[0], row[1]): row[2] for row in await db.fetch(_SAID)}
    begun_before = not stored and by is None and await db.fetchval(_BEGUN)
    if begun_before and not whole:
        # At the next start a partition that is left out now would count from its beginning, as written by a later life.
        raise RuntimeError("partitions that this service writes have no leader: how far it wrote them is not known")
    begins = await kafka.beginnings(reader, led)
    ends = await kafka.ends(reader, led, by_fetch=ends_by_fetch)
    starts = {tp: stored.get(tp, ends[tp] if begun_before else begins[tp]) for tp in led}
    spans: dict[TopicPartition, tuple[int, int]] = {}
    for tp, start in starts.items():
        if start > ends[tp] or start < begins[tp]:
            log().warning(
                "the log is not as this service left it",
                topic=tp.topic,
                partition=tp.partition,
                expected=start,
                found=f"{begins[tp]} to {ends[tp]}",
            )
        # A restored database cannot know that the log is shorter: its dump is from before the log was replaced.
        replaced = by is not None and start > ends[tp]
        spans[tp] = (begins[tp] if replaced else min(max(start, begins[tp]), ends[tp])), ends[tp]
    starting = {(tp.topic, tp.partition): begin for tp, (begin, _) in spans.items() if tp not in stored}
    await said.begin(db, starting)
    if moved := {(tp.topic, tp.partition): at for tp, (at, _) in spans.items() if stored.get(tp, at) != at}:
        await said.start_from(db, moved)
    return Beyond(spans, by, whole)


async def is_later(db: Connection, reader: AIOKafkaConsumer, beyond: Beyond, source: str) -> bool:
    """Whether a message of this source stands there that is not in the outbox. Twins may go on relaying meanwhile.

    A message without a moment of decision does not count: the owner of the source wrote it by hand.
    """
    async for records in Spans(reader, beyond.spans).all():
        if await _some_unknown(db, records, source):
            return True
    return False


async def _some_unknown(db: Connection, records: Sequence[Record], source: str) -> bool:
    async with db.transaction(isolation="repeatable_read", readonly=True):  # both tables as of one moment
        spoken = {(row[0], row[1]): row[2] for row in await db.fetch(_SAID)}
        left = {
            message[:3]
            for record in records
            if record.offset >= spoken.get((record.topic, record.partition), 0)
            and (message := said.of_record(record, source)) is not None
            and message.decided_at is not None
        }
        if not left:
            return False
        async for row in db.cursor(_OUTBOX, prefetch=500):
            left.discard(said.of_outbox(row)[:3])
            if not left:
                return False
    return True
