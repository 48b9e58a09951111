"""Records the statements of a PostgreSQL session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import asyncpg

from services.chassis.base.database import Connection

__all__ = ["rows_read", "statements"]

_COPY = asyncpg.Connection.copy_records_to_table


@contextmanager
def statements(db: Connection) -> Iterator[list[str]]:
    """The statements of one session while this is open, COPYs too, of which asyncpg's own log says nothing."""
    seen: list[str] = []

    def note(record: Any) -> None:
        seen.append(record.query)

    async def copied(self: asyncpg.Connection[asyncpg.Record], table: str, **rest: Any) -> str:
        if self is db:
            seen.append(f"COPY {table}")
        return await _COPY(self, table, **rest)

    with patch.object(asyncpg.Connection, "copy_records_to_table", copied), db.query_logger(note):
        yield seen


async def rows_read(db: Connection, sql: str, *arguments: Any) -> int:
    """The rows that a statement reads from tables, with those that it filters out, as PostgreSQL counts them."""
    plan: str = await db.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *arguments)
    found = 0
    parts: list[dict[str, Any]] = [json.loads(plan)[0]["Plan"]]
    while parts:
        part = parts.pop()
        parts += part.get("Plans", [])
        if "Relation Name" in part:
            read = part["Actual Rows"] + part.get("Rows Removed by Filter", 0)
            found += round(read * part["Actual Loops"])
    return found
