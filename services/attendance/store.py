"""All SQL of attendance: at most four statements load a batch and five save it, whatever the batch's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, TypeAlias
from uuid import UUID

from services.attendance.states import PersonDay, Presence, RecordKey, Signup, Standing, days_of_a_stay
from services.chassis.base.database import Batch, Connection
from services.chassis.decisions import States
from services.chassis.tables import Table

__all__ = ["RECORDS_OF_DAYS", "AttendanceStore", "Figure", "Needs", "days_before", "figures"]

PersonOnDay: TypeAlias = tuple[UUID, date]

_RECORDS_NAMED = """
SELECT service_record.* FROM service_record
  JOIN unnest($1::text[], $2::text[]) AS named(host, record_ref)
    ON service_record.host = named.host AND service_record.record_ref = named.record_ref"""
# The rows are found one by one from the days that are touched (OFFSET 0), whatever statistics say. Without that the
# planner read the whole table when it believed in many days. Without coalesce it read all held records of all persons
# when few records had been held.
RECORDS_OF_DAYS = """
SELECT service_record.* FROM service_record
 WHERE service_record.ctid = ANY(ARRAY(
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
_PRESENCE_OF_DAYS = """
SELECT presence.* FROM presence
  JOIN unnest($1::uuid[], $2::date[]) AS asked(signup_id, day)
    ON presence.signup_id = asked.signup_id AND presence.day = asked.day"""
# No upsert: an upsert checks the CHECK on the row that is proposed for insertion, and a lowering alone is below zero.
_ADD_MINUTES = """
MERGE INTO person_day AS p
USING unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[]) AS n(person, day, added, cap)
   ON p.person = n.person AND p.day = n.day
WHEN MATCHED THEN UPDATE SET minutes = p.minutes + n.added,
     cap = greatest(n.cap, CASE WHEN n.added < 0 THEN p.minutes + n.added ELSE 0 END)
WHEN NOT MATCHED THEN INSERT (person, day, minutes, cap) VALUES (n.person, n.day, n.added, n.cap)"""

_RECORDS_AND_MINUTES_BY_STATE = """
SELECT host, state, count(*), coalesce(sum(minutes), 0) FROM (
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
    """Minutes are added to a row, and never replace it. The sum is the database's own, so a wrong decision meets the
    CHECK. Rows are never loaded, so no row version is compared: the sum contains what others added meanwhile.
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
    """What the messages of a batch are about."""

    records: set[RecordKey] = field(default_factory=set)
    signups: set[UUID] = field(default_factory=set)
    days: set[PersonOnDay] = field(default_factory=set)
    stays: set[tuple[UUID, tuple[date, ...]]] = field(default_factory=set)
    entitled: set[UUID] = field(default_factory=set)
    """Sign-ups that may entitle their person to serve from now on."""


class AttendanceStore:
    """Loads rows by person and Shanghai day. Decisions compete only over rows of one person, and every message holds
    the lock of its person."""

    tables: Sequence[Table[Any]] = (SIGNUPS, PRESENCE, RECORDS, PERSON_DAYS)

    def needs(self) -> Needs:
        """The needs of an empty batch."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load the records that messages name, and all records of each day on which minutes may come or go.

        These days are: the days that messages are about; the days on which a named record counts or is held; the days
        of records that are held under a sign-up that now entitles its person; and, where a correction is held on such a
        day, the day on which its record counts now. Other days of a person are not loaded: a person with thousands of
        held records would slow every batch down.
        """
        db = batch.connection
        keys = needs.records
        named = await RECORDS.load(db, states, _RECORDS_NAMED, [host for host, _ in keys], [ref for _, ref in keys])
        days = needs.days | {place for row in named for place in (row.counts_on, row.waits_on) if place is not None}
        persons_of, days_of = [person for person, _ in days], [day for _, day in days]
        rows = await RECORDS.load(db, states, RECORDS_OF_DAYS, persons_of, days_of, list(needs.entitled))
        held = [row for row in rows if row.held_for is not None]
        await SIGNUPS.load_keys(db, states, needs.signups.union(row.signup_id for row in held))
        stays = needs.stays.union(days_before(row.signup_id, row.day) for row in held)
        asked = {(signup, day) for signup, days in stays for day in days}
        await PRESENCE.load(db, states, _PRESENCE_OF_DAYS, [signup for signup, _ in asked], [day for _, day in asked])


def days_before(signup_id: UUID, day: date) -> tuple[UUID, tuple[date, ...]]:
    """A sign-up with this day and the earlier days on which a stay that reaches into this day may have begun."""
    return signup_id, days_of_a_stay(day)


@dataclass(frozen=True, slots=True)
class Figure:
    """How many service records of a host are in this state, and their minutes.

    A record whose correction is held counts twice: as held with the correction, as counted with the version before it.
    """

    host: str
    state: str
    records: int
    minutes: int


async def figures(db: Connection) -> list[Figure]:
    """Counts and minutes by host and state (counted, held, revoked). One statement."""
    return [Figure(row[0], row[1], row[2], int(row[3])) for row in await db.fetch(_RECORDS_AND_MINUTES_BY_STATE)]
