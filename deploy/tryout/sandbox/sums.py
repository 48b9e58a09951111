"""Sums over the books, for whoever runs this registry: in the same words in every kind, as ``/misbehave`` is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Depends

from deploy.tryout.sandbox.credentials import bearer_of
from deploy.tryout.sandbox.database import Pool
from deploy.tryout.sandbox.settings import SandboxSettings

__all__ = ["sums_routes"]

_SERVED: Final = """
SELECT home, status, count(*) AS records, sum(minutes)::bigint AS minutes FROM audit_served
WHERE home IS NOT NULL GROUP BY home, status ORDER BY home, status
"""
_CREDITS: Final = "SELECT count(*) AS postings, coalesce(sum(minutes), 0)::bigint AS minutes FROM audit_credits"
# Two registries know a volunteer whose request was refused, and she is one person: she is counted at home.
_UNLINKED: Final = """
SELECT count(*) FROM volunteer AS v
WHERE NOT EXISTS (SELECT FROM link WHERE link.ref = v.ref AND (link.established OR link.role = 'host'))
"""
_SIGNUPS: Final = """
SELECT host, shift_ref, ref, state, asker, signup_ref FROM signup WHERE host = $1 AND starts_at IS NOT NULL
"""
_RECORDS: Final = """
SELECT record_ref, minutes FROM audit_served WHERE home IS NOT NULL AND status = 'confirmed' ORDER BY record_ref
"""
_POSTINGS: Final = "SELECT transfer_id, sum(minutes)::bigint AS minutes FROM audit_credits GROUP BY transfer_id"
_BOOKED: Final = "SELECT minutes, at FROM posting WHERE record_ref = $1 ORDER BY number"


def sums_routes(settings: SandboxSettings, pool: Callable[[], Pool]) -> APIRouter:
    """``GET /sums``, and ``/signups``, ``/records``, ``/postings`` and ``/booked`` under it, for the bearer of the
    system's token."""
    router = APIRouter(prefix="/sums", dependencies=[Depends(bearer_of(settings.system_token))])

    @router.get("")
    async def sums() -> dict[str, Any]:
        """Visitors' service by home and status, our own credits, and how many people of ours are not linked."""
        credits = await pool().fetchrow(_CREDITS)
        assert credits is not None
        return {
            "served": [dict(row) for row in await pool().fetch(_SERVED)],
            "credits": dict(credits),
            "unlinked": await pool().fetchval(_UNLINKED),
        }

    @router.get("/signups")
    async def signups() -> list[dict[str, Any]]:
        """The states of sign-ups for our own shifts."""
        return [dict(row) for row in await pool().fetch(_SIGNUPS, settings.registry)]

    @router.get("/records")
    async def records() -> list[dict[str, Any]]:
        """Visitors' records that are confirmed, with the minutes that count."""
        return [dict(row) for row in await pool().fetch(_RECORDS)]

    @router.get("/postings")
    async def postings() -> list[dict[str, Any]]:
        """The minutes that each transfer has in our ledger."""
        return [dict(row) for row in await pool().fetch(_POSTINGS)]

    @router.get("/booked")
    async def booked(record_ref: str) -> list[dict[str, Any]]:
        """The postings of a record of another registry, the oldest first."""
        return [dict(row) for row in await pool().fetch(_BOOKED, record_ref)]

    return router
