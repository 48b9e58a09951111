"""All SQL of attendance: at most four statements to load a batch and five to save it, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from services.attendance.states import DAYS_OF_A_STAY, PersonDay, Presence, RecordKey, Signup, Standing
from services.chassis.database import Batch, Connection
from services.chassis.decisions import States
from services.chassis.tables import Table

__all__ = ["RECORDS_OF_DAYS", "AttendanceStore", "Figure", "Needs", "days_before", "figures"]

PersonOnDay: TypeAlias = tuple[UUID, date]

_NAMED = """JOIN unnest($1::text[], $2::text[]) AS named(host, record_ref)
    ON service_record.host = named.host AND service_record.record_ref = named.record_ref"""
RECORDS_OF_DAYS = """WHERE service_record.ctid = ANY(ARRAY(
    WITH RECURSIVE touched(person, day) AS (
        SELECT * FROM unnest($1::uuid[], $2::date[])
        UNION
        SELECT held.person, held.day
          FROM unnest($3::uuid[]) AS entitled(signup_id) CROSS JOIN LATERAL (
                   SELECT person, day FROM service_record AS r
                    WHERE r.signup_id = entitled.signup_id AND r.held_for IS NOT NULL OFFSET 0) AS held
        UNION
        SELECT touched.person, held.counted_day
          FROM touched CROSS JOIN LATERAL (
                   SELECT counted_day FROM service_record AS r
                    WHERE r.person = touched.person AND r.day = touched.day AND coalesce(r.held_for, '') <> ''
                   OFFSET 0) AS held
         WHERE held.counted_day IS NOT NULL)
    SELECT found.ctid FROM touched CROSS JOIN LATERAL (
        SELECT r.ctid FROM service_record AS r WHERE r.person = touched.person AND r.day = touched.day
        UNION
        SELECT r.ctid FROM service_record AS r WHERE r.person = touched.person AND r.counted_day = touched.day
        OFFSET 0) AS found))"""
# Row by row from the days that are touched (OFFSET 0), whatever statistics say: the planner read the whole table when
# it believed in many days, and all that is held of anybody (hence coalesce) when little was held once.
_STAYS = """JOIN unnest($1::uuid[], $2::date[]) AS asked(signup_id, day)
    ON presence.signup_id = asked.signup_id AND presence.day = asked.day"""
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
    """Saved by adding, not by replacing: the sum is the database's own, so a wrong decision meets the CHECK.

    Never loaded, so no version is compared: whatever others added meanwhile is in the sum.
    """

    async def add(self, db: Connection, rows: Sequence[PersonDay]) -> None:
        if rows := [row for row in rows if row.added]:
            await db.execute(_ADD_MINUTES, *self._arrays(rows))


SIGNUPS: Final = Table(Signup, "signup", key=("id",))
PRESENCE: Final = Table(Presence, "presence", key=("signup_id", "day", "pair"), groups=("signup_day",))
RECORDS: Final = Table(
    Standing,
    "service_record",
    key=("host", "record_ref"),
    groups=("place", "counts_on", "waits_on", "waits_under", "doubles"),
    adds_many=True,
)
PERSON_DAYS: Final = _PersonDays(PersonDay, "person_day", key=("person", "day"), append_only=True)


@dataclass(slots=True)
class Needs:
    """What the messages of a batch speak of."""

    records: set[RecordKey] = field(default_factory=set)
    signups: set[UUID] = field(default_factory=set)
    days: set[PersonOnDay] = field(default_factory=set)
    stays: set[tuple[UUID, tuple[date, ...]]] = field(default_factory=set)
    entitled: set[UUID] = field(default_factory=set)
    """Sign-ups that may give a right to serve from now on."""


class AttendanceStore:
    """Rows by person and Shanghai day. All that competes is of one person, whose lock every message holds."""

    tables: Sequence[Table[Any]] = (SIGNUPS, PRESENCE, RECORDS, PERSON_DAYS)

    def needs(self) -> Needs:
        """Nothing yet."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load the records that are named, and everything of each day on which something may come or go.

        These are the days that messages speak of, those on which a named record counts, those of what is held under a
        sign-up that now gives a right, and, where a correction is held on such a day, the day that it would leave.
        Never all that a person has: whoever has thousands held would slow every batch down.
        """
        db = batch.connection
        keys = needs.records
        named = await RECORDS.load(db, states, _NAMED, [host for host, _ in keys], [ref for _, ref in keys])
        days = needs.days | {place for row in named if (place := row.counts_on) is not None}
        persons_of, days_of = [person for person, _ in days], [day for _, day in days]
        rows = await RECORDS.load(db, states, RECORDS_OF_DAYS, persons_of, days_of, list(needs.entitled))
        held = [row for row in rows if row.held_for is not None]
        await SIGNUPS.load_keys(db, states, needs.signups.union(row.signup_id for row in held))
        stays = needs.stays.union(days_before(row.signup_id, row.day) for row in held)
        asked = {(signup, day) for signup, days in stays for day in days}
        await PRESENCE.load(db, states, _STAYS, [signup for signup, _ in asked], [day for _, day in asked])


def days_before(signup_id: UUID, day: date) -> tuple[UUID, tuple[date, ...]]:
    """A sign-up with this day and those on which a stay that touches it may have begun."""
    return signup_id, tuple(day - timedelta(days=back) for back in range(DAYS_OF_A_STAY))


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
