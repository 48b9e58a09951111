"""One event at a time, as a service without a chassis does it: its own statements, the same rules, the same tables."""

from __future__ import annotations

import json
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from contracts.envelope import Event, encode
from contracts.messages.attendance import AttestService
from contracts.topics import service_source
from services.attendance import rules
from services.attendance.policy import Policy
from services.attendance.states import PersonDay, Presence, Signup, Standing
from services.attendance.store import AttendanceStore
from services.chassis.base.database import Connection
from services.chassis.decisions import Decision, Inbound, Send, States

__all__ = ["INDEX", "apply"]

_FIRST_SIGHTING = "INSERT INTO inbox (source, id, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_RECORDS = """SELECT host, record_ref, person, signup_id, version, held_for, body, attested_at, day, home,
reviewed_version, reviewed_by, approved, said_at, counted_version, counted_signup, counted_from, counted_to,
counted_minutes FROM service_record WHERE person = $1"""
INDEX = "CREATE INDEX service_record_by_person ON service_record (person)"
"""What its author would have added: ours has none for all records of a person."""
_SIGNUPS = "SELECT id, state FROM signup WHERE id = ANY($1)"
_PRESENCE = "SELECT signup_id, day, pair, came_at, left_at FROM presence WHERE signup_id = ANY($1)"
_SAVE_RECORD = """INSERT INTO service_record (host, record_ref, person, signup_id, version, held_for, body, attested_at,
day, home, reviewed_version, reviewed_by, approved, said_at, counted_version, counted_signup, counted_from, counted_to,
counted_minutes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (host, record_ref) DO UPDATE SET signup_id = excluded.signup_id, version = excluded.version,
held_for = excluded.held_for, body = excluded.body, day = excluded.day, said_at = excluded.said_at,
counted_version = excluded.counted_version, counted_signup = excluded.counted_signup,
counted_from = excluded.counted_from, counted_to = excluded.counted_to, counted_minutes = excluded.counted_minutes"""
_ADD_MINUTES = """MERGE INTO person_day AS p USING (SELECT $1::uuid AS person, $2::date AS day) AS n
ON p.person = n.person AND p.day = n.day
WHEN MATCHED THEN UPDATE SET minutes = p.minutes + $3::bigint
WHEN NOT MATCHED THEN INSERT (person, day, minutes, cap) VALUES ($1, $2, $3, $4)"""
_SEND = "INSERT INTO outbox (topic, key, headers, value) VALUES ($1, $2, $3, $4)"
_POLICY = Policy(day_cap_minutes=480)


async def apply(db: Connection, command: AttestService, headers: dict[str, str], digest: bytes) -> None:
    """Inbox, load, decide, save and outbox of one event, in the caller's transaction."""
    source, message_id = headers["ce_source"], headers["ce_id"]
    if await db.execute(_FIRST_SIGHTING, source, message_id, digest) == "INSERT 0 0":
        return
    event = Event(
        message_id,
        source,
        datetime.fromisoformat(headers["ce_time"]),
        command,
        correlation=headers.get("ce_correlationid"),
        causation=headers.get("ce_causationid"),
    )
    now = datetime.now(UTC)
    states = await _load(db, command)
    decision = rules.attest(states, Inbound(event, "", uuid4(), now), now, _POLICY)
    assert decision.wait is None, "sign-ups stand before the run"
    await _save(db, decision)
    for send in decision.sends:
        await db.execute(_SEND, *_outgoing(send, now, event))


async def _load(db: Connection, command: AttestService) -> States:
    states = States()
    for table in AttendanceStore.tables:
        table.declare(states)
    records = [Standing(*row) for row in await db.fetch(_RECORDS, command.person)]
    signups: list[UUID] = [command.signup_id, *(row.signup_id for row in records if row.held_for is not None)]
    states.load(records)
    states.load([Signup(*row) for row in await db.fetch(_SIGNUPS, signups)])
    states.load([Presence(*row) for row in await db.fetch(_PRESENCE, signups)])
    return states


async def _save(db: Connection, decision: Decision) -> None:
    for row in decision.changes:
        if isinstance(row, Standing):
            await db.execute(_SAVE_RECORD, *astuple(row))
        else:
            assert isinstance(row, PersonDay), "nothing else changes here"
            await db.execute(_ADD_MINUTES, row.person, row.day, row.added, row.cap)


def _outgoing(send: Send, now: datetime, cause: Event) -> tuple[Any, ...]:
    event = Event(
        str(uuid4()), service_source("attendance"), now, send.message, cause.correlation or cause.id, cause.id
    )
    value, headers = encode(event)
    packed = json.dumps([(name, text.decode()) for name, text in headers]).encode()
    return send.topic.name, event.key, packed, value
