"""Messages that a service has published: how far it wrote each partition, and what a later life of it wrote beyond.

A message of this service is known by its source and id; its type and body are what it says. A message whose id stands
in the log is never sent again (``sift``): if it says the same it is dropped, if it says something else it is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from contracts.envelope import moment_of
from contracts.messages.base import LONGEST_ID
from services.chassis.base.clock import Clock
from services.chassis.base.database import Connection
from services.chassis.batch.passed import Place, Told, read_passed
from services.chassis.batch.reasons import SAID_OTHERWISE
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import POSTGRES, Storage
from services.chassis.log.records import Record, content_digest, unpack_headers
from services.chassis.outgoing import silent

__all__ = [
    "Counts",
    "Message",
    "begin",
    "counts",
    "forget",
    "keep",
    "moments",
    "of_outbox",
    "of_record",
    "sift",
    "sift_timers",
    "some_open",
    "start_from",
    "tell",
]

_AT_ONCE: Final = 1000

_TELL: Final = """WITH gone AS (DELETE FROM outbox WHERE id = ANY($1))
INSERT INTO said (topic, partition, next_offset) SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""
_START_FROM: Final = """INSERT INTO said (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""
_BEGIN: Final = """INSERT INTO said (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[]) ON CONFLICT DO NOTHING"""
_KEEP: Final = """INSERT INTO said_since (source, id, topic, partition, "offset", digest, decided_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bytea[], $7::timestamptz[])
ON CONFLICT DO NOTHING"""
_MOMENTS: Final = """SELECT id, decided_at FROM said_since
WHERE source = $1 AND id = ANY($2) AND decided_at IS NOT NULL"""
_KNOWN: Final = """SELECT source, id, digest, topic, partition, "offset" FROM said_since
JOIN unnest($1::text[], $2::text[]) AS t(source, id) USING (source, id)
UNION ALL SELECT source, id, digest, '', -1, -1 FROM inbox JOIN unnest($1::text[], $2::text[]) AS t(source, id)
USING (source, id)"""
_COUNTS: Final = """SELECT count(*), count(*) FILTER (WHERE again),
(SELECT count(*) FROM set_aside WHERE reason = $1) FROM said_since"""
_SOME_OPEN: Final = "SELECT EXISTS (SELECT FROM said_since WHERE NOT again)"
_TIMERS: Final = "SELECT name, topic, key, headers, value FROM timer WHERE name > $1 ORDER BY name LIMIT $2"
_AGAIN: Final = """UPDATE said_since AS s SET again = true FROM unnest($1::text[], $2::text[]) AS t(source, id)
WHERE s.source = t.source AND s.id = t.id"""

_FORGET: Final = """DELETE FROM said_since WHERE (source, id) IN (
    SELECT source, id FROM said_since WHERE again AND coalesce(decided_at, 'epoch') < $1
       AND NOT EXISTS (SELECT FROM restored) LIMIT $2)"""


class Message(NamedTuple):
    """A message of this service: what it is known by, and what it says."""

    source: str
    id: str
    digest: bytes
    decided_at: datetime | None = None
    told: Told | None = None


def of_record(record: Record, source: str) -> Message | None:
    """A record of the log as a message of this source; None if it is another's, or none that a service wrote."""
    headers = dict(record.headers)
    if headers.get("ce_source") != source.encode() or record.part is not None:
        return None
    texts = {
        name: (headers.get(f"ce_{name}") or b"").decode("utf-8", "replace")
        for name in ("id", "type", "decidedat", "passed")
    }
    if not texts["id"].isprintable() or not 0 < len(texts["id"]) <= LONGEST_ID:
        return None  # no service gives such an id, and the table would refuse it at each start again
    digest = content_digest(texts["type"], record.value)
    return Message(source, texts["id"], digest, _moment(texts["decidedat"]), read_passed(texts["passed"]))


def of_outbox(row: Any) -> Message:
    """A row of the outbox, or a timer."""
    headers = dict(orjson.loads(row["headers"]))
    return Message(headers["ce_source"], headers["ce_id"], content_digest(headers["ce_type"], row["value"]))


def _moment(microseconds: str) -> datetime | None:
    try:
        return moment_of(microseconds)
    except (ValueError, OverflowError):
        return None


async def tell(db: Connection, acknowledged: Sequence[int], ends: Mapping[Place, int]) -> None:
    """Delete acknowledged rows of the outbox and note how far their partitions are written: one statement, so one
    transaction."""
    await db.execute(_TELL, list(acknowledged), *_columns(ends))


async def begin(db: Connection, ends: Mapping[Place, int]) -> None:
    """Note that these partitions are written up to here, where nothing is noted yet."""
    if ends:
        await db.execute(_BEGIN, *_columns(ends))


async def start_from(db: Connection, ends: Mapping[Place, int]) -> None:
    """Note that these partitions are written up to here, whatever was noted before."""
    await db.execute(_START_FROM, *_columns(ends))


def _columns(ends: Mapping[Place, int]) -> tuple[list[str], list[int], list[int]]:
    return [topic for topic, _ in ends], [partition for _, partition in ends], list(ends.values())


async def keep(db: Connection, records: Sequence[tuple[Record, Message]]) -> None:
    """Keep the messages of a later life, and what they tell of passed records. Without effect for kept messages."""
    await db.execute(
        _KEEP,
        [message.source for _, message in records],
        [message.id for _, message in records],
        [record.topic for record, _ in records],
        [record.partition for record, _ in records],
        [record.offset for record, _ in records],
        [message.digest for _, message in records],
        [message.decided_at for _, message in records],
    )
    await silent.keep(db, [(message.decided_at, message.told) for _, message in records if message.told is not None])


async def moments(db: Connection, source: str, ids: Sequence[str]) -> dict[str, datetime]:
    """When these messages were decided, as far as a later life sent them."""
    return {row[0]: row[1] for row in await db.fetch(_MOMENTS, source, list(ids))}


class Counts(NamedTuple):
    """How many messages a later life sent, how many of them this life made too, and how many it made otherwise."""

    since: int
    again: int
    otherwise: int


async def counts(db: Connection) -> Counts:
    """These counts at this moment."""
    row = await db.fetchrow(_COUNTS, SAID_OTHERWISE)
    assert row is not None
    return Counts(*row)


async def some_open(db: Connection) -> bool:
    """Whether a later life sent messages that this life has not made yet and may still make."""
    found: bool = await db.fetchval(_SOME_OPEN)
    return found


async def forget(db: Connection, before: datetime, most: int) -> int:
    """Delete up to ``most`` messages of a later life that were decided before this moment and that this life made too;
    also what messages of that time told of passed records. Gives how many messages. Nothing while a replay is to come.
    """
    await silent.forget(db, before)
    return int((await db.execute(_FORGET, before, most)).split()[-1])


async def sift(db: Connection, rows: Sequence[Any], clock: Clock, storage: Storage = POSTGRES) -> list[Any]:
    """The rows of the outbox that are to be sent. The other rows are deleted in one transaction: a message that the log
    has already is done, and a message whose id has another message in the log is set aside."""
    known, otherwise = await _sorted(db, rows)
    if gone := [row["id"] for row in rows if of_outbox(row)[:2] in known]:
        async with db.transaction():
            await db.execute("DELETE FROM outbox WHERE id = ANY($1)", gone)
            await _settle(db, known, otherwise, clock, storage)
    deleted = set(gone)
    return [row for row in rows if row["id"] not in deleted]


async def sift_timers(db: Connection, clock: Clock, storage: Storage = POSTGRES) -> int:
    """Forget timers whose messages are in the log; gives how many."""
    after, count = "", 0
    while rows := await db.fetch(_TIMERS, after, _AT_ONCE):
        after = rows[-1]["name"]
        known, otherwise = await _sorted(db, rows)
        gone = [row["name"] for row in rows if of_outbox(row)[:2] in known]
        async with db.transaction():
            await db.execute("DELETE FROM timer WHERE name = ANY($1)", gone)
            await _settle(db, known, otherwise, clock, storage)
        count += len(gone)
    return count


async def _sorted(db: Connection, rows: Sequence[Any]) -> tuple[dict[tuple[str, str], Any], list[tuple[Any, Any]]]:
    """What is known under the ids of these rows, and the rows that say something else, each with what is known."""
    messages = [of_outbox(row) for row in rows]
    found = await db.fetch(_KNOWN, [one.source for one in messages], [one.id for one in messages])
    known = {(row["source"], row["id"]): row for row in reversed(found)}
    otherwise = [
        (row, known[message[:2]])
        for row, message in zip(rows, messages, strict=True)
        if message[:2] in known and known[message[:2]]["digest"] != message.digest
    ]
    return known, otherwise


async def _settle(
    db: Connection,
    known: Mapping[tuple[str, str], Any],
    otherwise: Sequence[Any],
    clock: Clock,
    storage: Storage,
) -> None:
    now = clock.now()
    await storage.insert(db, [_aside(row, there, now) for row, there in otherwise])
    await db.execute(_AGAIN, [source for source, _ in known], [id for _, id in known])


def _aside(row: Any, there: Any, now: datetime) -> Aside:
    """Our own message, at the place in the log where its id has another message."""
    headers = unpack_headers(row["headers"])
    record = Record(
        row["topic"],
        there["partition"],
        there["offset"],
        int(now.timestamp() * 1000),
        row["key"].encode(),
        headers,
        row["value"],
    )
    detail = f"the log has other content under the id {there['id']}, which this service said before it was restored"
    return Aside(record, SAID_OTHERWISE, now, detail=detail)
