"""The pages' questions to the registry's own books."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from deploy.tryout.sandbox.database import Connection, Pool

__all__ = [
    "MOST_ON_A_ROSTER",
    "Place",
    "Stay",
    "links",
    "minutes_at_home",
    "organised",
    "roster",
    "shift_of",
    "signup_at",
    "signups",
    "stay_of",
    "times_asked",
]

Row = dict[str, Any]
MOST_ON_A_ROSTER: Final = 500
"""The most rows of a roster, since its form is taken as a whole."""
Place: TypeAlias = tuple[str, str, str]
"""A shift: its host, its project and its own number."""

_LINKS = """
SELECT l.registry, l.role, l.state, l.reason, l.established, c.state AS consent
FROM link l LEFT JOIN consent c USING (ref, registry) WHERE l.ref = $1 ORDER BY l.registry
"""
_MINUTES = """
SELECT coalesce((SELECT sum(minutes) FROM audit_served WHERE volunteer_ref = $1 AND status = 'confirmed'), 0)
     + coalesce((SELECT sum(minutes) FROM posting WHERE ref = $1), 0)
"""
# Sign-ups that the linkage told, whoever asked for them; and sign-ups asked for here that are not answered yet, which
# are newer.
_OF_HER = """
SELECT DISTINCT ON (host, project_ref, shift_ref) * FROM (
    SELECT host, project_ref, shift_ref, signup_ref, state, reason, starts_at, ends_at, 1 AS place
    FROM signup WHERE ref = $1
    UNION ALL
    SELECT r.host, r.project_ref, r.shift_ref, r.signup_ref,
           CASE WHEN f.message_id IS NULL THEN r.state ELSE 'refused' END, f.reason, NULL, NULL,
           CASE WHEN f.message_id IS NULL AND r.state <> 'withdrawn' THEN 0 ELSE 2 END
    FROM signup_request r LEFT JOIN refusal f ON f.message_id = 'web-' || r.signup_ref
    WHERE r.ref = $1 AND NOT EXISTS (SELECT 1 FROM signup_answered a WHERE a.signup_ref = r.signup_ref)
) AS each_one ORDER BY host, project_ref, shift_ref, place
"""
_SIGNUPS = f"""
SELECT r.host, r.project_ref, r.shift_ref, r.signup_ref, r.state, r.reason, p.title, h.place,
       coalesce(r.starts_at, h.starts_at) AS begins, coalesce(r.ends_at, h.ends_at) AS ends
FROM ({_OF_HER}) AS r
LEFT JOIN shift h ON r.host = $2 AND h.project_ref = r.project_ref AND h.shift_ref = r.shift_ref
LEFT JOIN project p ON r.host = $2 AND p.project_ref = r.project_ref
ORDER BY begins NULLS LAST, r.signup_ref
"""  # noqa: S608
_SIGNUP_AT = f"""
SELECT signup_ref, state, reason FROM ({_OF_HER}) AS r WHERE (host, project_ref, shift_ref) = ($2, $3, $4)
"""  # noqa: S608
_ASKED = "SELECT count(*) FROM signup_request WHERE (ref, host, project_ref, shift_ref) = ($1, $2, $3, $4)"
_ORGANISED = """
SELECT s.project_ref, s.shift_ref, p.title, s.starts_at, s.ends_at, s.posts, s.place, s.state,
       (SELECT count(*) FROM signup u WHERE u.project_ref = s.project_ref AND u.shift_ref = s.shift_ref
        AND u.host = $2 AND u.state IN ('confirmed', 'promoted')) AS confirmed
FROM shift s JOIN project p USING (project_ref) WHERE p.organiser_ref = $1
ORDER BY (s.ends_at < now()), abs(extract(epoch FROM s.starts_at - now())), s.shift_ref LIMIT 60
"""
_SHIFT = """
SELECT s.project_ref, s.shift_ref, p.title, p.organiser_ref, s.starts_at, s.ends_at, s.posts, s.place, s.state
FROM shift s JOIN project p USING (project_ref) WHERE s.project_ref = $1 AND s.shift_ref = $2
"""
# Who has been here for so long has forgotten to check out, and comes anew.
_STAY = """
SELECT max(at) FILTER (WHERE kind = 'in' AND at >= coalesce(last_out, at) AND at > now() - interval '18 hours'),
       count(*) FILTER (WHERE kind = 'in')
FROM (SELECT kind, at, max(at) FILTER (WHERE kind = 'out') OVER () AS last_out FROM presence
      WHERE (ref, project_ref, shift_ref) = ($1, $2, $3)) AS hers
"""
_ROSTER = """
SELECT u.ref, CASE row_number() OVER hers WHEN 1 THEN '' ELSE '_' || row_number() OVER hers || '_' END || u.ref AS key,
       u.state AS signup, a.home, a.name, x.came_at, x.came_by, x.left_at,
       v.record_ref, v.version, v.started_at, v.ended_at, v.minutes, v.revoked, v.status, v.reason, t.state AS transfer,
       CASE WHEN v.status IN ('pending', 'held', 'refused') THEN (
            SELECT b.minutes FROM standing s JOIN record_version b USING (record_ref, version)
            WHERE s.record_ref = v.record_ref AND s.version < v.version) END AS counted
FROM (SELECT DISTINCT ON (ref) ref, state FROM signup WHERE host = $3 AND project_ref = $1 AND shift_ref = $2
      AND state IN ('confirmed', 'promoted', 'reported', 'withdrawn') ORDER BY ref, (state = 'withdrawn')) u
LEFT JOIN account a ON a.ref = u.ref
CROSS JOIN LATERAL (
    SELECT min(at) FILTER (WHERE kind = 'in') AS came_at,
           coalesce(array_agg(DISTINCT method) FILTER (WHERE kind = 'in'), '{}') AS came_by,
           CASE WHEN max(at) FILTER (WHERE kind = 'out') > coalesce(max(at) FILTER (WHERE kind = 'in'), '-infinity')
                THEN max(at) FILTER (WHERE kind = 'out') END AS left_at
    FROM presence p WHERE (p.ref, p.project_ref, p.shift_ref) = (u.ref, $1, $2)) x
LEFT JOIN LATERAL (SELECT DISTINCT ON (record_ref) * FROM record_version r
                   WHERE (r.ref, r.project_ref, r.shift_ref) = (u.ref, $1, $2)
                   ORDER BY record_ref, version DESC) v ON true
LEFT JOIN transfer_report t ON t.record_ref = v.record_ref AND t.version = v.version
WINDOW hers AS (PARTITION BY u.ref ORDER BY v.started_at, v.record_ref)
ORDER BY u.ref, v.started_at, v.record_ref LIMIT $4
"""


class Stay(NamedTuple):
    """Her presence at a shift: since when she is there, None if she is not; and how often she has come."""

    came_at: datetime | None
    number: int


async def stay_of(db: Connection | Pool, ref: str, project_ref: str, shift_ref: str) -> Stay:
    """Whether she is at the shift now."""
    came_at, number = await db.fetchrow(_STAY, ref, project_ref, shift_ref) or (None, 0)
    return Stay(came_at, number)


async def links(pool: Pool, ref: str) -> list[Row]:
    """Her links with other registries, and whether her consent stands."""
    return [dict(row) for row in await pool.fetch(_LINKS, ref)]


async def minutes_at_home(pool: Pool, ref: str) -> int:
    """Her total in this registry: confirmed service here and credits from elsewhere."""
    return int(await pool.fetchval(_MINUTES, ref))


async def signup_at(db: Connection | Pool, ref: str, place: Place) -> Row | None:
    """Her sign-up for a shift: number, state and reason. None if she has none."""
    row = await db.fetchrow(_SIGNUP_AT, ref, *place)
    return None if row is None else dict(row)


async def times_asked(db: Connection, ref: str, place: Place) -> int:
    """How often she asked for this shift here."""
    asked: int = await db.fetchval(_ASKED, ref, *place)
    return asked


async def signups(pool: Pool, code: str, ref: str) -> list[Row]:
    """All her sign-ups, with the last word on each shift, earliest shift first."""
    return [dict(row) for row in await pool.fetch(_SIGNUPS, ref, code)]


async def organised(pool: Pool, code: str, organiser: str) -> list[Row]:
    """An organiser's shifts, the nearest in time first, at most 60."""
    return [dict(row) for row in await pool.fetch(_ORGANISED, organiser, code)]


async def shift_of(pool: Pool, project_ref: str, shift_ref: str) -> Row | None:
    """One of our shifts."""
    row = await pool.fetchrow(_SHIFT, project_ref, shift_ref)
    return None if row is None else dict(row)


async def roster(pool: Pool, code: str, project_ref: str, shift_ref: str) -> list[Row]:
    """The people who have a post or came, with the state of each service record here and at the volunteer's home.

    Somebody with several records, as after a night, has a row for each. ``key`` tells the rows apart: her ref, and in
    later rows a number before it. No ref begins with ``_``.

    ``came_by`` are the methods of her check-ins. ``left_at`` is her last check-out, None if she came again after it.
    ``counted`` are the minutes of an earlier version that is confirmed, while the newest version is not.
    """
    return [dict(row) for row in await pool.fetch(_ROSTER, project_ref, shift_ref, code, MOST_ON_A_ROSTER)]
