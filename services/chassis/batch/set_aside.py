"""The table of messages that are set aside: quarantined, waiting for a fact, or behind such a message.

A message that is not in the contract has no subject and blocks nothing. Of a record that is too_large and of a batch
that is unreadable only the first bytes are kept, so these never come back. A message with a subject is ``raised`` (its
decision raised), ``waiting`` (for ``fact``, until ``deadline``, on the channels ``brought_by``), ``ready`` (to be
decided again) or ``behind`` (a later message of a parked subject). The last three go on by themselves; for the others
see ``quarantine.py``. ``said_otherwise``: a message that this service was about to send (``restoring``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.chassis.base.database import Connection, add_rows
from services.chassis.batch.reasons import AsideReason
from services.chassis.log.batches import Part
from services.chassis.log.records import Record, pack_headers, unpack_headers

__all__ = [
    "Aside",
    "by_sequence",
    "chosen",
    "decidable",
    "enqueue",
    "first_deadlines",
    "insert",
    "make_ready",
    "park",
    "ready_topics",
    "remove",
    "rewrite",
    "rows_of",
    "still_first",
    "unpark",
]

_COLUMNS: Final = (
    "reason", "subject", "fact", "deadline", "topic", "partition", "offset", "timestamp", "key", "headers",
    "value", "last_offset", "size", "digest", "appended", "detail", "attempts", "received_at", "brought_by",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Aside:
    """One message set aside; ``seq`` is None until it stands in the table."""

    record: Record
    reason: AsideReason
    received_at: datetime
    subject: str | None = None
    fact: str | None = None
    deadline: datetime | None = None
    detail: str | None = None
    tries: int = 0
    """How often it was decided or read in vain; the column is ``attempts``."""
    seq: int | None = None
    brought_by: str | None = None
    """The channels of a message that waits, as ``channels.named`` writes them."""
    own_right: bool = False
    """Another message has the same id, and an operator has released this one."""


async def insert(db: Connection, rows: Sequence[Aside]) -> None:
    """Set messages aside, in order."""
    await add_rows(db, "set_aside", _COLUMNS, [_written(row) for row in rows])


def _written(row: Aside) -> tuple[Any, ...]:
    record = row.record
    return (
        row.reason,
        row.subject,
        row.fact,
        row.deadline,
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        pack_headers(record.headers),
        record.value,
        *((None, None, None) if record.part is None else record.part[:3]),
        record.appended,
        _clean(row.detail),
        row.tries,
        row.received_at,
        row.brought_by,
    )


def _clean(text: str | None) -> str | None:
    # PostgreSQL takes neither NUL nor half of a pair of surrogates.
    return None if text is None else text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()[:500]


async def rewrite(db: Connection, rows: Sequence[Aside]) -> None:
    """Give rows that were decided again and stay set aside their new reason."""
    if rows:
        await db.execute(
            """UPDATE set_aside AS s SET reason = n.reason, fact = n.fact, deadline = n.deadline, detail = n.detail,
                 attempts = n.attempts, brought_by = n.brought_by
               FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::int[], $7::text[])
                 AS n(seq, reason, fact, deadline, detail, attempts, brought_by) WHERE s.seq = n.seq""",
            [row.seq for row in rows],
            [row.reason for row in rows],
            [row.fact for row in rows],
            [row.deadline for row in rows],
            [_clean(row.detail) for row in rows],
            [row.tries for row in rows],
            [row.brought_by for row in rows],
        )


async def remove(db: Connection, sequences: Sequence[int]) -> None:
    """Delete rows that are applied."""
    if sequences:
        await db.execute("DELETE FROM set_aside WHERE seq = ANY($1)", list(sequences))


async def park(db: Connection, subjects: Iterable[str]) -> None:
    """Later messages of these subjects go behind. The subjects are locked in this transaction."""
    if names := sorted(set(subjects)):
        await db.execute("UPDATE entity SET parked = true WHERE name = ANY($1) AND NOT parked", names)


async def unpark(db: Connection, subjects: Iterable[str]) -> None:
    """Open subjects of which no message is set aside any more; of the others the first message becomes ready.

    The subjects are locked, so no message can come in between. Otherwise a message that came behind while the rows
    before it were being decided would wait for no row at all.
    """
    if not (names := sorted(set(subjects))):
        return
    await db.execute(
        """UPDATE set_aside AS s SET reason = 'ready'
           FROM unnest($1::text[]) AS t(name) CROSS JOIN LATERAL (
               SELECT seq FROM set_aside WHERE subject = t.name ORDER BY seq LIMIT 1) AS head
           WHERE s.seq = head.seq AND s.reason = 'behind'""",
        names,
    )
    await db.execute(
        """UPDATE entity SET parked = false WHERE name = ANY($1)
           AND NOT EXISTS (SELECT FROM set_aside WHERE subject = entity.name)""",
        names,
    )


async def make_ready(db: Connection, facts: Iterable[str]) -> int:
    """Make ready the messages that wait for these facts; gives how many.

    This transaction has locked the facts, as did the transaction of each message that waits, so none is missed.
    """
    if not (names := sorted(facts)):
        return 0
    status = await db.execute(
        """UPDATE set_aside SET reason = 'ready', fact = NULL, deadline = NULL, brought_by = NULL
           WHERE reason = 'waiting' AND fact = ANY($1)""",
        names,
    )
    return int(status.split()[-1])


_FIRST_DEADLINES = """WITH RECURSIVE first AS (
    (SELECT topic, brought_by, deadline FROM set_aside WHERE reason = 'waiting'
      ORDER BY topic, brought_by, deadline LIMIT 1)
    UNION ALL
    SELECT following.* FROM first CROSS JOIN LATERAL (
        SELECT s.topic, s.brought_by, s.deadline FROM set_aside s
         WHERE s.reason = 'waiting' AND (s.topic, s.brought_by) > (first.topic, first.brought_by)
         ORDER BY s.topic, s.brought_by, s.deadline LIMIT 1) AS following)
SELECT topic, brought_by, deadline FROM first WHERE deadline <= $1 AND topic = ANY($2)"""
# Jumps through the index from each topic and channels to the next, however many rows wait by them.


async def first_deadlines(db: Connection, topics: Sequence[str], now: datetime) -> list[tuple[str, str, datetime]]:
    """Of messages from each of these ``topics`` that wait by the same channels, the earliest deadline that has passed:
    topic, channels, deadline."""
    return [(row[0], row[1], row[2]) for row in await db.fetch(_FIRST_DEADLINES, now, list(topics))]


async def ready_topics(db: Connection, topics: Sequence[str]) -> set[str]:
    """The topics, of those given, of which a message is ready."""
    found = await db.fetch(
        """SELECT name FROM unnest($1::text[]) AS t(name)
           WHERE EXISTS (SELECT FROM set_aside WHERE reason = 'ready' AND topic = name)""",
        list(topics),
    )
    return {row[0] for row in found}


# The limit counts for each subject too: a hundred thousand rows may stand behind one that waits.
_ROWS = """SELECT s.* FROM (
  SELECT ready.subject FROM unnest($1::text[]) AS t(name) CROSS JOIN LATERAL (
      SELECT subject FROM set_aside WHERE reason = 'ready' AND topic = t.name ORDER BY seq LIMIT $4) AS ready
  UNION
  SELECT over.subject FROM unnest($1::text[]) AS t(name)
   CROSS JOIN unnest($2::text[], $3::timestamptz[]) AS heard(channels, moment)
   CROSS JOIN LATERAL (
      SELECT subject FROM set_aside
       WHERE reason = 'waiting' AND topic = t.name AND brought_by = heard.channels AND deadline <= heard.moment
       ORDER BY deadline LIMIT $4) AS over) AS chosen
CROSS JOIN LATERAL (SELECT * FROM set_aside WHERE subject = chosen.subject ORDER BY seq LIMIT 2 * $4) AS s
ORDER BY s.seq LIMIT 2 * $4"""


async def rows_of(db: Connection, topics: Sequence[str], heard: Mapping[str, datetime], limit: int) -> list[Aside]:
    """Rows of subjects that have a row from one of these ``topics`` which is ready or has waited long enough: its
    deadline is not after the moment up to which its channels were ``heard``. With all rows of the same subject, in
    order."""
    found = await db.fetch(_ROWS, list(topics), list(heard), list(heard.values()), limit)
    return [_aside(row) for row in found]


_STILL_FIRST = """SELECT s.* FROM set_aside s WHERE s.seq = ANY($1)
AND (SELECT min(e.seq) FROM set_aside e WHERE e.subject = s.subject) = ANY($1) ORDER BY s.seq"""


async def still_first(db: Connection, sequences: Sequence[int]) -> list[Aside]:
    """The rows, of those given, that still stand and have the first row of their subject among them; in order."""
    return await chosen(db, _STILL_FIRST, list(sequences))


def decidable(rows: Iterable[Aside], heard: Mapping[str, datetime]) -> list[Aside]:
    """Of rows read again under the lock of re-entry (``still_first``) those that may be decided now.

    Left out are rows that must wait longer or have raised, and the rows of their subjects behind them.
    """
    closed: set[str | None] = set()
    kept: list[Aside] = []
    for row in rows:
        if (row.reason == "waiting" and not _over(row, heard)) or row.reason == "raised":
            closed.add(row.subject)
        if row.subject not in closed:
            kept.append(row)
    return kept


def _over(row: Aside, heard: Mapping[str, datetime]) -> bool:
    moment = heard.get(row.brought_by or "")
    return moment is not None and row.deadline is not None and row.deadline <= moment


def _aside(row: Any) -> Aside:
    record = Record(
        row["topic"],
        row["partition"],
        row["offset"],
        row["timestamp"],
        row["key"],
        unpack_headers(row["headers"]),
        row["value"],
        None if row["digest"] is None else _part(row),
        row["appended"],
    )
    return Aside(
        record,
        row["reason"],
        row["received_at"],
        row["subject"],
        row["fact"],
        row["deadline"],
        row["detail"],
        row["attempts"],
        row["seq"],
        row["brought_by"],
        row["own_right"],
    )


def _part(row: Any) -> Part:
    return Part(row["last_offset"], row["size"], row["digest"], row["reason"], row["detail"] or "")


async def by_sequence(db: Connection, sequences: Sequence[int]) -> list[Aside]:
    """Those of these messages that are there, in order."""
    return await chosen(db, "SELECT * FROM set_aside WHERE seq = ANY($1) ORDER BY seq", list(sequences))


async def chosen(db: Connection, query: str, *arguments: Any) -> list[Aside]:
    """The rows that a statement chooses of this table."""
    return [_aside(row) for row in await db.fetch(query, *arguments)]


async def enqueue(db: Connection, subjects: Mapping[int, str]) -> None:
    """Put messages, by sequence, into the queues of their subjects, at the place that the sequence gives them.

    The subjects are locked, and are parked from now on: later messages go behind.
    """
    await db.execute(
        """UPDATE set_aside AS s SET reason = 'behind', subject = n.subject,
             own_right = s.own_right OR s.reason = 'reused_id'
           FROM unnest($1::bigint[], $2::text[]) AS n(seq, subject) WHERE s.seq = n.seq""",
        list(subjects),
        list(subjects.values()),
    )
    await park(db, subjects.values())
    await unpark(db, subjects.values())
