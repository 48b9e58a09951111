"""Whether this database was restored: whether a later life of it has said what it does not know of.

The relay deletes what was acknowledged and notes how far it wrote in one statement. So behind that stands only what is
still in the outbox (a crash came between), or what was said by a life that this database does not remember. An operator
or the restore command may say so, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis import kafka
from services.chassis.database import Connection
from services.chassis.logs import log
from services.chassis.records import Record
from services.chassis.restoring import said
from services.chassis.restoring.spans import Spans

__all__ = ["Beyond", "is_later", "look", "mark"]

_SAID: Final = "SELECT topic, partition, next_offset FROM said"
_BY: Final = "SELECT by FROM restored"
_MARK: Final = "INSERT INTO restored (by) VALUES ($1) ON CONFLICT DO NOTHING"
_BEGUN: Final = "SELECT EXISTS (SELECT FROM consumed)"
_OUTBOX: Final = "SELECT headers, value FROM outbox ORDER BY id"


@dataclass(frozen=True)
class Beyond:
    """Of each partition that this service writes and does not read, what stands behind the place up to which this
    database knows that it has spoken."""

    spans: Mapping[TopicPartition, tuple[int, int]]
    by: str | None
    """Who has said that the database was restored; None if nobody has."""
    whole: bool = True
    """Whether all partitions were looked at: each has a leader."""

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """Where the partitions ended when they were looked at."""
        return {(tp.topic, tp.partition): end for tp, (_, end) in self.spans.items()}


async def mark(db: Connection, by: str) -> None:
    """Say that the database was restored; the replay takes it back. Without effect when somebody has said so."""
    await db.execute(_MARK, by)


async def look(
    db: Connection, reader: AIOKafkaConsumer | None, places: Sequence[TopicPartition], *, ends_by_fetch: bool
) -> Beyond:
    """Compare what the database knows with where these partitions begin and end.

    A database that was begun before this was kept knows of no partition: all that stands there counts as its own. A
    partition that it does not know counts from its beginning, and is known from now on. A log that is shorter, or
    begins later, than the database knows is said in one line and stops nobody: the inputs' positions speak for it.

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
        # What is left out now would count from its beginning at the next start: as said by a later life.
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
        # A restored database knows nothing of a log that is shorter: the dump is from before the log was replaced.
        replaced = by is not None and start > ends[tp]
        spans[tp] = (begins[tp] if replaced else min(max(start, begins[tp]), ends[tp])), ends[tp]
    starting = {(tp.topic, tp.partition): begin for tp, (begin, _) in spans.items() if tp not in stored}
    await said.begin(db, starting)
    if moved := {(tp.topic, tp.partition): at for tp, (at, _) in spans.items() if stored.get(tp, at) != at}:
        await said.start_from(db, moved)
    return Beyond(spans, by, whole)


async def is_later(db: Connection, reader: AIOKafkaConsumer, beyond: Beyond, source: str) -> bool:
    """Whether anything of this source stands there that is not in the outbox. Twins may go on relaying meanwhile.

    What has no moment of its decision was written by hand in this source's name, as whoever owns that name may do.
    """
    async for records in Spans(reader, beyond.spans).all():
        if await _some_unknown(db, records, source):
            return True
    return False


async def _some_unknown(db: Connection, records: Sequence[Record], source: str) -> bool:
    async with db.transaction(isolation="repeatable_read", readonly=True):  # one moment of both tables
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
