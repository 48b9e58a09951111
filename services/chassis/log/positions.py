"""Stored offsets of consumer groups: the fence of every batch, and the check that the log is still the same log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.base.database import Connection, Pool
from services.chassis.base.faults import Stopped
from services.chassis.log import kafka
from services.chassis.log.records import Record, mark, record_of

__all__ = [
    "FenceLost",
    "LogMismatch",
    "Place",
    "Position",
    "SetBack",
    "advance",
    "behind",
    "forget",
    "not_set_back",
    "read",
    "verify",
]

Place = tuple[str, TopicPartition]
"""A consumer group and a partition that it reads."""

_READ_BACK_SECONDS = 15.0
_ENTER_PLACES: Final = """INSERT INTO consumed (grp, topic, partition, next_offset)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[]) ON CONFLICT DO NOTHING"""
_PLACES: Final = """SELECT c.* FROM consumed c JOIN unnest($2::text[], $3::int[]) AS t(topic, partition)
USING (topic, partition) WHERE c.grp = $1"""


class FenceLost(Exception):
    """Another consumer has moved these offsets on; nothing was changed."""


class LogMismatch(Stopped):
    """The log is another one than that of the stored offsets. The service stops until an operator decides."""


class SetBack(LogMismatch):
    """The database lacks a batch that this process has committed: it was restored while the process ran."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a group stands in one partition. ``last_*`` describe the message before ``next_offset``, if any."""

    next_offset: int
    last_timestamp: int | None
    last_mark: str | None


async def read(pool: Pool, group: str, partitions: Mapping[TopicPartition, int]) -> dict[TopicPartition, Position]:
    """Stored positions; a partition never seen starts at the given beginning offset and is entered as such."""
    async with pool.acquire() as db:
        await db.execute(
            _ENTER_PLACES,
            group,
            [tp.topic for tp in partitions],
            [tp.partition for tp in partitions],
            list(partitions.values()),
        )
        rows = await db.fetch(
            _PLACES,
            group,
            [tp.topic for tp in partitions],
            [tp.partition for tp in partitions],
        )
    return {
        TopicPartition(row["topic"], row["partition"]): Position(
            row["next_offset"], row["last_timestamp"], row["last_mark"]
        )
        for row in rows
    }


async def advance(db: Connection, group: str, last: Sequence[Record], expected: Sequence[int]) -> None:
    """Move each partition from ``expected`` to behind its ``last`` record: compare and swap, one statement.

    Raises ``FenceLost``; the transaction is then to be rolled back.
    """
    status = await db.execute(
        """UPDATE consumed AS c SET next_offset = n.last + 1, last_timestamp = n.stamp, last_mark = n.mark
           FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
             AS n(topic, partition, expected, last, stamp, mark)
           WHERE c.grp = $1 AND c.topic = n.topic AND c.partition = n.partition AND c.next_offset = n.expected""",
        group,
        [record.topic for record in last],
        [record.partition for record in last],
        list(expected),
        [record.last for record in last],
        [record.timestamp for record in last],
        [mark(record) for record in last],
    )
    if status != f"UPDATE {len(last)}":
        raise FenceLost


async def behind(pool: Pool, ends: Mapping[Place, int]) -> dict[Place, int]:
    """The groups and partitions, of all processes, that stand before the given ends, and where. One statement.

    A partition that no process has ever taken over stands at 0.
    """
    rows = await pool.fetch(
        """SELECT e.grp, e.topic, e.partition, coalesce(c.next_offset, 0)
           FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS e(grp, topic, partition, log_end)
           LEFT JOIN consumed c USING (grp, topic, partition) WHERE coalesce(c.next_offset, 0) < e.log_end""",
        [group for group, _ in ends],
        [tp.topic for _, tp in ends],
        [tp.partition for _, tp in ends],
        list(ends.values()),
    )
    return {(row[0], TopicPartition(row[1], row[2])): row[3] for row in rows}


async def forget(db: Connection, topics: Iterable[str]) -> list[str]:
    """An operator's decision after ``LogMismatch``: read these topics from their beginning. Inboxes keep effects once.

    Gives the topic of each position that is forgotten. In the caller's transaction; never commits.
    """
    rows = await db.fetch("DELETE FROM consumed WHERE topic = ANY($1) RETURNING topic", list(topics))
    return [row[0] for row in rows]


def not_set_back(stored: Mapping[TopicPartition, Position], reached: Mapping[TopicPartition, int]) -> None:
    """Compare with the offsets up to which this process has committed. Raises ``SetBack``."""
    for tp, position in stored.items():
        if position.next_offset < reached.get(tp, 0):
            raise SetBack(
                f"{tp.topic}/{tp.partition}: this process has applied up to {reached[tp]}, and the database stands at "
                f"{position.next_offset}: it was restored, or its positions were forgotten; start again"
            )


async def verify(
    reader: AIOKafkaConsumer, stored: Mapping[TopicPartition, Position], *, ends_by_fetch: bool = False
) -> None:
    """Read the last consumed messages back and compare them with what is stored. For ``reader`` and ``ends_by_fetch``
    see ``kafka.ends``.

    Raises ``LogMismatch`` naming the partition and both sides.
    """
    if not stored:
        return
    begins = await reader.beginning_offsets(list(stored))
    ends = await kafka.ends(reader, stored, by_fetch=ends_by_fetch)
    readable: dict[TopicPartition, Position] = {}
    for tp, position in stored.items():
        if position.next_offset > ends[tp]:
            raise LogMismatch(
                f"{tp.topic}/{tp.partition}: the log ends at {ends[tp]}, but messages up to "
                f"{position.next_offset - 1} were applied: the log was replaced by a shorter one"
            )
        if begins[tp] > position.next_offset:
            raise LogMismatch(
                f"{tp.topic}/{tp.partition}: the log begins at {begins[tp]}, but {position.next_offset} is the next "
                "to apply: retention has removed messages that were never applied"
            )
        if position.last_mark is not None and begins[tp] < position.next_offset:
            readable[tp] = position
    await _compare(reader, readable)


async def _compare(reader: AIOKafkaConsumer, stored: dict[TopicPartition, Position]) -> None:
    waiting = dict(stored)
    for tp, position in waiting.items():
        reader.seek(tp, position.next_offset - 1)
        reader.resume(tp)
    deadline = time.monotonic() + _READ_BACK_SECONDS
    while waiting:
        if time.monotonic() > deadline:
            tp, position = next(iter(waiting.items()))
            raise LogMismatch(
                f"{tp.topic}/{tp.partition}: offset {position.next_offset - 1} was applied, but nothing is there to "
                "read back: the log was replaced"
            )
        for tp, messages in (await reader.getmany(*waiting, timeout_ms=1000)).items():
            if (position := waiting.pop(tp, None)) is None:
                continue
            record = record_of(messages[0])
            if mark(record) != position.last_mark or record.timestamp != position.last_timestamp:
                raise LogMismatch(
                    f"{tp.topic}/{tp.partition}: offset {position.next_offset - 1} holds another message than the one "
                    "that was applied: the log was replaced"
                )
            reader.pause(tp)
