"""All SQL of attendance: at most four statements to load a batch and five to save it, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeAlias
from uuid import UUID

from contracts.messages.attendance import AttestService
from contracts.messages.opportunities import CommandRefused as OpportunityRefused
from services.attendance.states import PersonDay, Presence, RecordKey, Signup, Standing
from services.chassis.database import Batch, Connection
from services.chassis.decisions import Inbound, States
from services.chassis.tables import Table

__all__ = ["RECORDS_OF_DAYS", "AttendanceStore", "Figure", "figures"]

PersonOnDay: TypeAlias = tuple[UUID, date]

_NAMED_OR_HELD = """WHERE (service_record.host, service_record.record_ref) IN (
    SELECT * FROM unnest($1::text[], $2::text[])
    UNION ALL
    SELECT h.host, h.record_ref FROM service_record AS h WHERE h.person = ANY($3) AND h.held_for IS NOT NULL)"""
RECORDS_OF_DAYS = """JOIN unnest($1::uuid[], $2::date[]) AS asked(person, day)
    ON service_record.person = asked.person AND service_record.counted_day = asked.day"""
_ADD_MINUTES = """MERGE INTO person_day AS p
USING unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[]) AS n(person, day, added, cap)
   ON p.person = n.person AND p.day = n.day
WHEN MATCHED THEN UPDATE SET minutes = p.minutes + n.added,
     cap = greatest(n.cap, CASE WHEN n.added < 0 THEN p.minutes + n.added ELSE 0 END)
WHEN NOT MATCHED THEN INSERT (person, day, minutes, cap) VALUES (n.person, n.day, n.added, n.cap)"""
# Not an upsert: that checks the CHECK on the row proposed for insertion, and a lowering alone is below zero.

_FIGURES = """SELECT host, state, count(*), coalesce(sum(minutes), 0) FROM (
    SELECT host, 'held' AS state,
           floor(extract(epoch FROM (body::json->>'ended_at')::timestamptz - (body::json->>'started_at')::timestamptz)
                 / 60) - (body::json->>'break_minutes')::int AS minutes
      FROM service_record WHERE held_for IS NOT NULL
    UNION ALL
    SELECT host, 'counted', counted_minutes FROM service_record WHERE counted_version IS NOT NULL
    UNION ALL
    SELECT host, 'revoked', 0 FROM service_record WHERE held_for IS NULL AND counted_version IS NULL
) AS each_one GROUP BY host, state ORDER BY host, state"""


class _PersonDays(Table[PersonDay]):
    """Saved by adding, not by replacing: the sum is the database's own, so a wrong decision meets the CHECK."""

    async def save(self, db: Connection, rows: Sequence[PersonDay]) -> None:
        if rows := [row for row in rows if row.added]:
            await db.execute(_ADD_MINUTES, *self._arrays(rows))


SIGNUPS: Final = Table(Signup, "signup", key=("id",))
PRESENCE: Final = Table(Presence, "presence", key=("signup_id", "day", "pair"), groups=("signup_id",))
RECORDS: Final = Table(Standing, "service_record", key=("host", "record_ref"), groups=("person",), loads_all=True)
PERSON_DAYS: Final = _PersonDays(PersonDay, "person_day", key=("person", "day"))


class AttendanceStore:
    """Rows by person and Shanghai day. All that competes is of one person, whose lock every message holds."""

    tables: Sequence[Table[Any]] = (SIGNUPS, PRESENCE, RECORDS, PERSON_DAYS)

    async def load(self, batch: Batch, messages: Sequence[Inbound], states: States) -> None:
        """Load records named, all that is held of these persons, and what counts on any day that may gain minutes.

        Those are the days of what is attested now and of what is held: a record that only leaves a day is itself
        loaded by name, and who could take its place is held.
        """
        db = batch.connection
        keys: set[RecordKey] = set()
        persons: set[UUID] = set()
        signups: set[UUID] = set()
        days: set[PersonOnDay] = set()
        for inbound in messages:
            data = inbound.data
            if type(data) is OpportunityRefused:
                continue
            if type(data) is AttestService:
                keys.add((data.host, data.record.record_ref))
                days.add((data.person, data.record.day))
            persons.add(data.person)
            signups.add(data.signup_id)
        named = await RECORDS.fetch(
            db, _NAMED_OR_HELD, [host for host, _ in keys], [ref for _, ref in keys], list(persons)
        )
        held = [row for row in named if row.held_for is not None]
        days.update((row.person, row.record().day) for row in held)
        signups.update(row.signup_id for row in held)
        states.load(named)
        states.load(await RECORDS.fetch(db, RECORDS_OF_DAYS, [person for person, _ in days], [day for _, day in days]))
        states.load(await SIGNUPS.fetch_keys(db, signups))
        states.load(await PRESENCE.fetch(db, "WHERE signup_id = ANY($1)", list(signups)))


@dataclass(frozen=True, slots=True)
class Figure:
    """How many service records of a host stand so, and their minutes.

    A record whose correction is held is in two figures: held as it is now, counted as it was before.
    """

    host: str
    state: str
    records: int
    minutes: int


async def figures(db: Connection) -> list[Figure]:
    """Counts and minutes by host and state (counted, held, revoked). One statement."""
    return [Figure(row[0], row[1], row[2], int(row[3])) for row in await db.fetch(_FIGURES)]
