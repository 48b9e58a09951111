"""Messages to be sent, written in the transaction of their decision and published by the relay; and timers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import uuid_utils

from contracts.envelope import Event, body_bytes, header_texts
from contracts.topics import TopicEntry, service_source
from services.chassis.base.database import Connection, Pool, add_rows
from services.chassis.decisions import CancelTimer, Inbound, Send, Timer
from services.chassis.log.records import pack_texts

__all__ = [
    "OutboxRow",
    "Thread",
    "append",
    "backlog",
    "cancel_timers",
    "encoded",
    "fire_due_timers",
    "hasten",
    "is_drained",
    "outgoing",
    "publish",
    "set_timers",
    "take_back",
]

MAX_OUTGOING: Final = 256 * 1024
"""Largest body sent, well below what brokers take."""
_TAKE_BACK: Final = """
DELETE FROM outbox WHERE topic = $1 AND convert_from(value, 'UTF8')::jsonb @> $2::jsonb
RETURNING convert_from(value, 'UTF8')
"""


class OutboxRow(NamedTuple):
    """An encoded message on its way out."""

    topic: str
    key: str
    headers: bytes
    value: bytes


class Thread(NamedTuple):
    """What a message says of the messages that led to it: the id of the first, the id of the last, and the trace."""

    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None

    @classmethod
    def after(cls, inbound: Inbound | None, topic: TopicEntry) -> Thread:
        """Of what goes to this topic after this message; of what follows from no message, where there is none."""
        if inbound is None:
            return cls()
        event = inbound.event
        if inbound.is_named_by_own_id(topic):
            return cls(str(inbound.own_id), str(inbound.own_id), event.traceparent)
        return cls(event.correlation or event.id, event.id, event.traceparent)


def outgoing(
    send: Send | Timer, service: str, id: str, now: datetime, thread: Thread, passed: str | None = None
) -> OutboxRow:
    """Encode a message under this id, with the moment at which it was decided, its ``thread``, and what was ``passed``
    before it (``passed.py``)."""
    source, time = service_source(service), now
    if isinstance(send, Timer):
        time = send.due
    else:
        source, time = send.source or source, send.time or now
    event = Event(
        id=id,
        source=source,
        time=time,
        data=send.message,
        correlation=thread.correlation,
        causation=thread.causation,
        traceparent=thread.traceparent,
    )
    return encoded(send.topic.name, event, now, passed)


def encoded(topic: str, event: Event, decided_at: datetime, passed: str | None = None) -> OutboxRow:
    """An event as it is, on its way to this topic. Raises ``ValueError`` for one that is too large."""
    value = body_bytes(event)
    if len(value) > MAX_OUTGOING:
        # The broker would refuse it for ever, and all rows behind it in the outbox would wait for ever.
        raise ValueError(f"{event.type} of {len(value)} bytes is larger than {MAX_OUTGOING}")
    return OutboxRow(topic, event.key, pack_texts(header_texts(event, decided_at, passed)), value)


async def append(db: Connection, rows: Sequence[OutboxRow], origin: str | None = None) -> None:
    """Write rows to the outbox, in order. In the caller's transaction; never commits."""
    await add_rows(db, "outbox", ("origin", *OutboxRow._fields), [(origin, *row) for row in rows])


async def publish(db: Connection, sends: Iterable[Send], service: str, now: datetime) -> None:
    """For workers: put messages into the outbox within their own transaction, under fresh ids in order of time.

    Their ids follow from no cause, since the result of a call to an outside system is never replayed.
    """
    await append(db, [outgoing(send, service, str(uuid_utils.uuid7()), now, Thread()) for send in sends])


async def backlog(db: Connection, origin: str, limit: int) -> bool:
    """Whether more than ``limit`` rows of this group's making still stand in the outbox."""
    found = await db.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE origin = $1 LIMIT $2) AS standing", origin, limit + 1
    )
    return bool(found > limit)


async def is_drained(pool: Pool) -> bool:
    """Whether the relay has nothing to send now: no row stands, or only rows of partitions that take nothing."""
    return not await pool.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE stuck IS NULL)")


async def take_back(db: Connection, topic: str, part: str) -> list[Any]:
    """Remove the rows of a topic whose body contains ``part`` (a JSON object); gives their bodies, parsed.

    For messages that a restored database holds and that must not be sent any more.
    """
    return [json.loads(row[0]) for row in await db.fetch(_TAKE_BACK, topic, part)]


async def set_timers(db: Connection, timers: Sequence[tuple[Timer, OutboxRow]]) -> None:
    """Set or replace timers by name; within a batch the last one of a name counts."""
    last = {timer.name: (timer, row) for timer, row in timers}
    if last:
        await db.execute(
            """INSERT INTO timer (name, due, topic, key, headers, value)
               SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::bytea[], $6::bytea[])
               ON CONFLICT (name) DO UPDATE SET due = excluded.due, topic = excluded.topic, key = excluded.key,
                 headers = excluded.headers, value = excluded.value""",
            list(last),
            [timer.due for timer, _ in last.values()],
            [row.topic for _, row in last.values()],
            [row.key for _, row in last.values()],
            [row.headers for _, row in last.values()],
            [row.value for _, row in last.values()],
        )


async def cancel_timers(db: Connection, timers: Sequence[CancelTimer]) -> None:
    """Forget timers by name."""
    if timers:
        await db.execute("DELETE FROM timer WHERE name = ANY($1)", [timer.name for timer in timers])


async def hasten(db: Connection, names: Sequence[str], now: datetime) -> None:
    """Timers of these names that stand are due now."""
    if names:
        await db.execute("UPDATE timer SET due = $2 WHERE name = ANY($1) AND due > $2", list(names), now)


async def fire_due_timers(db: Connection, now: datetime) -> int:
    """Move due timers to the outbox, where they are ordinary messages. One statement; gives how many."""
    status = await db.execute(
        """WITH due AS (DELETE FROM timer WHERE due <= $1 RETURNING *)
           INSERT INTO outbox (topic, key, headers, value)
           SELECT topic, key, headers, value FROM due ORDER BY due, name""",
        now,
    )
    return int(status.split()[-1])
