"""When a later life decided what it said nothing about, as far as its messages tell (``passed.py``)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.chassis.database import Connection
from services.chassis.passed import Told
from services.chassis.records import Record

__all__ = ["Processes", "keep", "passed_after", "processes"]

_KEEP_PASSED: Final = """INSERT INTO said_passed (topic, partition, next_offset, after)
SELECT topic, partition, next_offset, min(after)
  FROM unnest($1::text[], $2::int[], $3::bigint[], $4::timestamptz[]) AS t(topic, partition, next_offset, after)
 GROUP BY topic, partition, next_offset
ON CONFLICT (topic, partition, next_offset) DO UPDATE SET after = least(said_passed.after, excluded.after)"""
_KEEP_BEGUN: Final = "INSERT INTO said_begun (at) SELECT DISTINCT unnest($1::timestamptz[]) ON CONFLICT DO NOTHING"
_PASSED: Final = """SELECT t."offset", told.after
  FROM unnest($3::bigint[]) AS t("offset")
 CROSS JOIN LATERAL (SELECT after FROM said_passed
    WHERE topic = $1 AND partition = $2 AND next_offset > t."offset" ORDER BY next_offset LIMIT 1) AS told"""
_TOLD_SINCE: Final = "SELECT least((SELECT min(after) FROM said_passed), (SELECT min(at) FROM said_begun))"
_LAST_WORDS: Final = """SELECT at, (SELECT max(decided_at) FROM said_since WHERE decided_at < at) AS last_word
  FROM said_begun ORDER BY at"""


async def keep(db: Connection, told: Sequence[Told]) -> None:
    """Keep what these messages tell. Two statements at most, without effect for what is kept already."""
    if passed := [one for message in told for one in message.passed]:
        await db.execute(_KEEP_PASSED, *map(list, zip(*passed, strict=True)))
    if begun := [message.since for message in told if message.begins]:
        await db.execute(_KEEP_BEGUN, begun)


async def passed_after(db: Connection, records: Sequence[Record]) -> dict[int, datetime]:
    """Of these records of one partition, by offset, the moment after which they were decided, where it was told."""
    first = records[0]
    rows = await db.fetch(_PASSED, first.topic, first.partition, [record.offset for record in records])
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True)
class Processes:
    """The processes of a later life. ``begun``: of each that began, when, and the last message before that."""

    told_since: datetime | None
    begun: Sequence[tuple[datetime, datetime | None]]
    last: datetime | None
    """The last message of all."""

    def last_word(self, written_at: datetime) -> datetime | None:
        """The last message of the process that may have decided a record which was written then and is told by nobody:
        while it spoke it told of all that it passed. None where nobody told anything at that time."""
        if self.told_since is None or written_at < self.told_since:
            return None
        later = bisect_right(self.begun, written_at, key=lambda one: one[0])
        return self.begun[later][1] if later < len(self.begun) else self.last


async def processes(db: Connection) -> Processes:
    """What is kept of them."""
    begun = [(row[0], row[1]) for row in await db.fetch(_LAST_WORDS)]
    return Processes(await db.fetchval(_TOLD_SINCE), begun, await db.fetchval("SELECT max(decided_at) FROM said_since"))
