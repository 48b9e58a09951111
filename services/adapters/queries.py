"""SQL of questions to an adapter: rows that are due to its registry's system, and rows that are in trouble."""

from __future__ import annotations

from typing import Any

from services.adapters.states import Waiting
from services.chassis.base.database import Connection

__all__ = ["troubles", "waiting"]

_CREDITS_IN_TROUBLE = """
SELECT transfer_id, volunteer_ref, state, attempts, due_at, trouble FROM credit
 WHERE trouble IS NOT NULL ORDER BY seq LIMIT $1
"""
_NOTICES_IN_TROUBLE = """
SELECT message_id, type, key, tries, due_at, rejected, trouble FROM (
    SELECT * FROM notice WHERE rejected IS NOT NULL
    UNION ALL SELECT * FROM notice WHERE rejected IS NULL AND tries > 0) AS notice ORDER BY seq LIMIT $1
"""
_UNREAD = "SELECT number, heard_at, trouble FROM not_understood ORDER BY seq LIMIT $1"

_WAITING = """
SELECT 'calls' AS part, count(*) AS rows,
       coalesce(extract(epoch FROM greatest(now() - min(due_at), interval '0')), 0)::float8 AS seconds
  FROM credit WHERE state IN ('due', 'unknown') AND due_at <= now()
UNION ALL
SELECT 'notices', count(*), coalesce(extract(epoch FROM greatest(now() - min(time), interval '0')), 0)::float8
  FROM notice WHERE rejected IS NULL
"""


async def waiting(db: Connection) -> dict[str, Waiting]:
    """The rows that are due to the system now, by the part that calls it with them."""
    return {row["part"]: Waiting(row["rows"], row["seconds"]) for row in await db.fetch(_WAITING)}


async def troubles(db: Connection, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Credits and notices that are in trouble, and letters that are no message; each list has the oldest first."""
    return {
        "credits": [dict(row) for row in await db.fetch(_CREDITS_IN_TROUBLE, limit)],
        "notices": [dict(row) for row in await db.fetch(_NOTICES_IN_TROUBLE, limit)],
        "not_understood": [dict(row) for row in await db.fetch(_UNREAD, limit)],
    }
