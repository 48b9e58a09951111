"""What a session of PostgreSQL is told to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import asyncpg

from services.chassis.database import Connection

__all__ = ["statements"]

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
