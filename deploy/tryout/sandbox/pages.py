"""The part of the books that people see: a volunteer's account, her services, shifts, and refused messages."""

from __future__ import annotations

from typing import Any

from deploy.tryout.sandbox.database import Pool
from deploy.tryout.sandbox.settings import Seat

__all__ = ["returned", "shifts", "volunteer"]

Page = dict[str, Any]

_LINKS = "SELECT registry, role, state FROM link WHERE ref = $1 ORDER BY registry"
_SERVICES = """
SELECT v.record_ref, v.version, v.project_ref, v.shift_ref, v.started_at, v.ended_at, v.minutes, v.status, v.reason,
       t.state AS transfer
FROM audit_served a
JOIN record_version v ON v.record_ref = a.record_ref AND v.version = a.version
LEFT JOIN transfer_report t ON t.record_ref = a.record_ref AND t.version = a.version
WHERE a.volunteer_ref = $1 ORDER BY v.started_at, v.record_ref
"""
_POSTINGS = "SELECT transfer_id, host, record_ref, version, minutes, at FROM posting WHERE ref = $1 ORDER BY number"
_SIGNUPS = """
SELECT signup_ref, host, project_ref, shift_ref, state, reason, starts_at FROM signup
WHERE ref = $1 ORDER BY starts_at NULLS LAST, signup_ref
"""
_SHIFTS = """
SELECT s.project_ref, s.shift_ref, p.title, p.campaign_title, s.starts_at, s.ends_at, s.posts, s.place, s.state,
       (SELECT count(*) FROM signup u WHERE u.project_ref = s.project_ref AND u.shift_ref = s.shift_ref
        AND u.host = $1 AND u.state IN ('confirmed', 'promoted')) AS confirmed
FROM shift s LEFT JOIN project p USING (project_ref)
WHERE $2::text IS NULL OR s.project_ref = $2
ORDER BY s.starts_at, s.project_ref, s.shift_ref LIMIT 500
"""
_RETURNED = """
SELECT r.message_id, s.kind, s.ref, s.at, r.reason, r.pointer, r.detail
FROM refusal r LEFT JOIN sent s ON s.id = r.message_id ORDER BY s.at DESC NULLS LAST LIMIT 500
"""


async def volunteer(pool: Pool, seat: Seat, ref: str) -> Page | None:
    """Her account: confirmed service here and credits from elsewhere, as raw and as shown minutes. None if there is no
    such account."""
    if await pool.fetchval("SELECT 1 FROM volunteer WHERE ref = $1", ref) is None:
        return None
    services = [dict(row) for row in await pool.fetch(_SERVICES, ref)]
    credits = [dict(row) for row in await pool.fetch(_POSTINGS, ref)]
    served = sum(one["minutes"] for one in services if one["status"] == "confirmed")
    total = served + sum(one["minutes"] for one in credits)
    return {
        "volunteer_ref": ref,
        "links": [dict(row) for row in await pool.fetch(_LINKS, ref)],
        "total_minutes": total,
        "shown_minutes": seat.shown(total),
        "services": services,
        "credits": credits,
        "signups": [dict(row) for row in await pool.fetch(_SIGNUPS, ref)],
    }


async def shifts(pool: Pool, seat: Seat, project_ref: str | None) -> list[Page]:
    """Our shifts in order of time, at most 500, each with the number of posts that the linkage has filled."""
    return [dict(row) for row in await pool.fetch(_SHIFTS, seat.code, project_ref)]


async def returned(pool: Pool) -> list[Page]:
    """Messages in our name that the border refused, newest first, at most 500."""
    return [dict(row) for row in await pool.fetch(_RETURNED)]
