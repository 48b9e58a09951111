"""When a later life decided records that led to no message, as far as its messages tell it (``passed.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.chassis.base.database import Connection
from services.chassis.base.migrations import applied_at
from services.chassis.batch.passed import Between, Told
from services.chassis.log.records import Record

__all__ = ["Silent", "forget", "keep", "passed", "silent"]

_KEEP_PASSED: Final = """INSERT INTO said_passed (topic, partition, next_offset, after, before)
SELECT topic, partition, next_offset, min(after), min(before)
  FROM unnest($1::text[], $2::int[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    AS t(topic, partition, next_offset, after, before)
 GROUP BY topic, partition, next_offset
ON CONFLICT (topic, partition, next_offset) DO UPDATE
   SET after = least(said_passed.after, excluded.after), before = least(said_passed.before, excluded.before)"""
_KEEP_BEGUN: Final = """INSERT INTO said_begun (at, topic, partition, next_offset)
SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::int[], $4::bigint[]) ON CONFLICT DO NOTHING"""
_ENDS: Final = """INSERT INTO said_passed (topic, partition, next_offset, after, before)
SELECT begun.topic, begun.partition, begun.next_offset,
       min(coalesce((SELECT max(decided_at) FROM said_since WHERE decided_at < begun.at), 'epoch')), min(begun.at)
  FROM said_begun AS begun GROUP BY begun.topic, begun.partition, begun.next_offset
ON CONFLICT (topic, partition, next_offset) DO UPDATE
   SET after = least(said_passed.after, excluded.after), before = least(said_passed.before, excluded.before)"""
_PASSED: Final = """SELECT t."offset", told.after, told.before
  FROM unnest($3::bigint[]) AS t("offset")
 CROSS JOIN LATERAL (SELECT after, before FROM said_passed
    WHERE topic = $1 AND partition = $2 AND next_offset > t."offset" ORDER BY next_offset LIMIT 1) AS told"""
_TOLD: Final = "SELECT (SELECT min(after) FROM said_passed), (SELECT max(decided_at) FROM said_since)"
_TELLS: Final = "chassis/0011_begun.sql"
"""Since this migration messages tell what was passed before them. A later life that passed nothing tells nothing."""

_FORGET_PASSED: Final = "DELETE FROM said_passed WHERE after < $1 AND NOT EXISTS (SELECT FROM restored)"
_FORGET_BEGUN: Final = "DELETE FROM said_begun WHERE at < $1 AND NOT EXISTS (SELECT FROM restored)"


async def keep(db: Connection, told: Sequence[tuple[datetime | None, Told]]) -> None:
    """Keep what messages tell, each with the moment at which it was decided. Two statements at most, without effect for
    what is kept already."""
    if passed := [(*place, end, one.since, at) for at, one in told for place, end in one.passed.items()]:
        await db.execute(_KEEP_PASSED, *map(list, zip(*passed, strict=True)))
    if begun := [
        (one.begun.at, *place, end) for _, one in told if one.begun for place, end in one.begun.places.items()
    ]:
        await db.execute(_KEEP_BEGUN, *map(list, zip(*begun, strict=True)))


async def passed(db: Connection, records: Sequence[Record]) -> dict[int, Between]:
    """Of these records of one partition, by offset, the moments between which they were decided, where that is told."""
    first = records[0]
    rows = await db.fetch(_PASSED, first.topic, first.partition, [record.offset for record in records])
    return {row[0]: Between(row[1], row[2]) for row in rows}


async def forget(db: Connection, before: datetime) -> None:
    """Delete what was told of moments before this one, unless a replay is to come: only a replay reads it."""
    await db.execute(_FORGET_PASSED, before)
    await db.execute(_FORGET_BEGUN, before)


@dataclass(frozen=True)
class Silent:
    """Since when messages tell of passed records, and the moment of the last message that does."""

    told_since: datetime | None
    last: datetime | None

    def untold(self, written_at: datetime) -> Between:
        """When a record was decided that no message tells of: after the last message, since each message tells of all
        passed before it. Nobody tells if messages did not tell of passed records yet when this record was written."""
        return Between(None if self.told_since is None or written_at < self.told_since else self.last)


async def silent(db: Connection) -> Silent:
    """Once all is kept: what processes passed at their ends was decided after the last message before the next."""
    await db.execute(_ENDS)
    row = await db.fetchrow(_TOLD)
    assert row is not None
    told_since = (row[0], await applied_at(db, _TELLS))
    return Silent(min((one for one in told_since if one is not None), default=None), row[1])
