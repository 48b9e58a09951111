"""Messages set aside: quarantined, behind a raised one, or waiting for a fact. One table, one way back in.

Reasons that block nothing have no subject (bytes, schema, unknown_type, reused_id, wrong_key, …). With a subject:
``raised`` (its decision raised; an operator releases it), ``waiting`` (for ``fact``, until ``deadline``), ``ready``
(to be decided again), ``behind`` (a later message of a parked subject).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.chassis.database import Connection
from services.chassis.records import Record, pack_headers, unpack_headers

__all__ = [
    "Aside",
    "decidable",
    "due_rows",
    "insert",
    "listing",
    "park",
    "release",
    "release_facts",
    "remove",
    "rewrite",
    "summary",
    "unpark",
]


@dataclass(frozen=True, slots=True)
class Aside:
    """One message set aside; ``seq`` is None until it stands in the table."""

    record: Record
    reason: str
    received_at: datetime
    subject: str | None = None
    fact: str | None = None
    deadline: datetime | None = None
    detail: str | None = None
    attempts: int = 0
    seq: int | None = None


async def insert(db: Connection, rows: Sequence[Aside]) -> None:
    """Set messages aside, in order."""
    if not rows:
        return
    columns: list[list[Any]] = [
        [row.reason for row in rows],
        [row.subject for row in rows],
        [row.fact for row in rows],
        [row.deadline for row in rows],
        [row.record.topic for row in rows],
        [row.record.partition for row in rows],
        [row.record.offset for row in rows],
        [row.record.timestamp for row in rows],
        [row.record.key for row in rows],
        [pack_headers(row.record.headers) for row in rows],
        [row.record.value for row in rows],
        [_clean(row.detail) for row in rows],
        [row.attempts for row in rows],
        [row.received_at for row in rows],
    ]
    await db.execute(
        """INSERT INTO set_aside (reason, subject, fact, deadline, topic, partition, "offset", "timestamp", key,
             headers, value, detail, attempts, received_at)
           SELECT reason, subject, fact, deadline, topic, part, off, stamp, key, headers, value, detail, attempts, at
           FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::int[], $7::bigint[],
             $8::bigint[], $9::bytea[], $10::bytea[], $11::bytea[], $12::text[], $13::int[], $14::timestamptz[])
             WITH ORDINALITY AS t(reason, subject, fact, deadline, topic, part, off, stamp, key, headers, value, detail,
               attempts, at, nr) ORDER BY nr""",
        *columns,
    )


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\\0")[:500]


async def rewrite(db: Connection, rows: Sequence[Aside]) -> None:
    """Give rows that were decided again and still stand their new reason."""
    if rows:
        await db.execute(
            """UPDATE set_aside AS s SET reason = n.reason, fact = n.fact, deadline = n.deadline, detail = n.detail,
                 attempts = n.attempts
               FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::int[])
                 AS n(seq, reason, fact, deadline, detail, attempts) WHERE s.seq = n.seq""",
            [row.seq for row in rows],
            [row.reason for row in rows],
            [row.fact for row in rows],
            [row.deadline for row in rows],
            [_clean(row.detail) for row in rows],
            [row.attempts for row in rows],
        )


async def remove(db: Connection, sequences: Sequence[int]) -> None:
    """Forget rows that are applied."""
    if sequences:
        await db.execute("DELETE FROM set_aside WHERE seq = ANY($1)", list(sequences))


async def park(db: Connection, subjects: Iterable[str]) -> None:
    """Later messages of these subjects go behind. The subjects are locked in this transaction."""
    if names := sorted(subjects):
        await db.execute("UPDATE entity SET parked = true WHERE name = ANY($1) AND NOT parked", names)


async def unpark(db: Connection, subjects: Iterable[str]) -> None:
    """Open subjects behind which nothing stands any more; where something does, whoever is first now is ready.

    The subjects are locked, so nothing can come in between. What came behind while the rows before it were being
    decided would otherwise have nobody left that it waits for.
    """
    if not (names := sorted(subjects)):
        return
    await db.execute(
        """UPDATE set_aside AS s SET reason = 'ready'
           FROM (SELECT min(seq) AS seq FROM set_aside WHERE subject = ANY($1) GROUP BY subject) AS head
           WHERE s.seq = head.seq AND s.reason = 'behind'""",
        names,
    )
    await db.execute(
        """UPDATE entity SET parked = false WHERE name = ANY($1)
           AND NOT EXISTS (SELECT FROM set_aside WHERE subject = entity.name)""",
        names,
    )


async def release_facts(db: Connection, facts: Iterable[str]) -> int:
    """What waits for these facts is ready. The facts are locked here as they were by who waits: none is orphaned."""
    if not (names := sorted(facts)):
        return 0
    status = await db.execute(
        """UPDATE set_aside SET reason = 'ready', fact = NULL, deadline = NULL
           WHERE reason = 'waiting' AND fact = ANY($1)""",
        names,
    )
    return int(status.split()[-1])


_ROWS = """SELECT s.* FROM set_aside s WHERE s.subject IN (
  SELECT subject FROM (
    (SELECT subject, seq FROM set_aside WHERE reason = 'ready' AND topic = ANY($4) ORDER BY seq LIMIT $2)
    UNION ALL
    (SELECT subject, seq FROM set_aside WHERE reason = 'waiting' AND deadline <= $1 AND topic = ANY($4)
     ORDER BY deadline LIMIT $2)
  ) AS heads)
ORDER BY s.seq LIMIT $3"""


async def due_rows(db: Connection, topics: Sequence[str], now: datetime, limit: int) -> list[Aside]:
    """Rows of subjects whose head is ready or has waited long enough, with those behind them, in order.

    Only rows of ``topics``, which this service reads at present: those of a paused stream stay as they are.
    """
    return [_aside(row) for row in await db.fetch(_ROWS, now, limit, 2 * limit, list(topics))]


async def decidable(db: Connection, rows: Sequence[Aside], now: datetime) -> list[Aside]:
    """Those of these rows that may be decided now, as they stand now: what nobody has decided meanwhile and what
    has nothing before it, outside these rows or in them, that must wait longer."""
    found = await db.fetch(
        """SELECT s.* FROM set_aside s WHERE s.seq = ANY($1)
           AND (SELECT min(e.seq) FROM set_aside e WHERE e.subject = s.subject) = ANY($1) ORDER BY s.seq""",
        [row.seq for row in rows],
    )
    closed: set[str | None] = set()
    kept: list[Aside] = []
    for row in map(_aside, found):
        waits = row.reason == "waiting" and row.deadline is not None and row.deadline > now
        if waits or row.reason == "raised":
            closed.add(row.subject)
        if row.subject not in closed:
            kept.append(row)
    return kept


def _aside(row: Any) -> Aside:
    record = Record(
        row["topic"],
        row["partition"],
        row["offset"],
        row["timestamp"],
        row["key"],
        unpack_headers(row["headers"]),
        row["value"],
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
    )


async def release(db: Connection, sequences: Sequence[int]) -> int:
    """An operator's release: raised messages are ready to be decided again. Gives how many."""
    status = await db.execute(
        "UPDATE set_aside SET reason = 'ready' WHERE seq = ANY($1) AND reason = 'raised'", list(sequences)
    )
    return int(status.split()[-1])


async def summary(db: Connection) -> dict[str, int]:
    """How many messages are set aside, by reason."""
    rows = await db.fetch("SELECT reason, count(*) FROM set_aside GROUP BY reason")
    return {row[0]: row[1] for row in rows}


async def listing(db: Connection, reason: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """Messages set aside for an operator's eyes: where they stood and why, without their bytes."""
    rows = await db.fetch(
        """SELECT seq, reason, subject, fact, deadline, topic, partition, "offset", detail, attempts, received_at
           FROM set_aside WHERE seq > $1 AND ($2::text IS NULL OR reason = $2) ORDER BY seq LIMIT $3""",
        after,
        reason,
        limit,
    )
    return [dict(row) for row in rows]
