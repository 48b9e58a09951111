"""PostgreSQL as the chassis uses it: pools, a batch's transaction with its ordered locks, and failure classes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic import ValidationError

__all__ = [
    "FAILURES",
    "Batch",
    "Connection",
    "Pool",
    "add_rows",
    "describe",
    "is_transient",
    "open_connection",
    "open_pool",
]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_LOCK = """
WITH locked AS (
    INSERT INTO entity (name) SELECT name FROM unnest($1::text[]) AS t(name) ORDER BY name COLLATE "C"
    ON CONFLICT (name) DO UPDATE SET parked = entity.parked WHERE entity.parked RETURNING name, parked)
SELECT name FROM locked WHERE parked
"""
# DO UPDATE locks every row that is there, in the order given; its WHERE looks at the row as it is once locked, writes
# the few that are parked, as they were, and so gives their names.


_LONGEST_CALL = 60.0
"""Seconds until a call to the database is given up; its own limits below come first, if it lives."""
_SESSION = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}
_BY_KEY = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
# A batch reads by key, whatever its length: each statement is planned once, and never as a scan, though it be planned
# while the tables are empty.
_ARRAYS = ("boolean", "bytea", "date", "integer", "bigint", "timestamptz", "uuid")
_ALL_ARRAYS = f"SELECT {', '.join(f'${place}::{name}[]' for place, name in enumerate(_ARRAYS, 1))}"


async def open_pool(dsn: str, *, size: int, application: str) -> Pool:
    """A pool whose sessions fail rather than hang: statements, locks and idle transactions have limits."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        command_timeout=_LONGEST_CALL,
        server_settings={**_SESSION, "application_name": application},
    )


async def open_connection(dsn: str, *, application: str) -> asyncpg.Connection[asyncpg.Record]:
    """One session for batches alone, with the same limits."""
    connection = await asyncpg.connect(
        dsn,
        timeout=10,
        command_timeout=_LONGEST_CALL,
        server_settings={**_SESSION, **_BY_KEY, "application_name": application},
    )
    # asyncpg asks the catalogue what an array is before the first statement with one: once for all of them here, not
    # once for each kind in the first batch.
    try:
        await connection.prepare(_ALL_ARRAYS)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def add_rows(
    db: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, within: float = _LONGEST_CALL
) -> None:
    """Insert rows that are known to be new, by COPY: one statement, under all constraints; none without rows.

    Raises ``TimeoutError`` after so many seconds. asyncpg's own time limit does not reach a COPY that waits for room
    to write, and neither does a lost connection: without this one a lane would hang for good.
    """
    if rows:
        async with asyncio.timeout(within):
            await db.copy_records_to_table(table, columns=list(columns), records=rows)


class Batch:
    """One open transaction and the entities locked in it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.locked: set[str] = set()

    async def lock(self, names: Iterable[str]) -> set[str]:
        """Lock these entities, made if missing, in name order; give those that are parked. One statement.

        Every batch locks in ascending rounds, so no two can wait for each other in a circle; a name that sorts
        before an earlier round is a fault of the service and raises ``ValueError``.
        """
        wanted = sorted(set(names) - self.locked)
        if wanted and self.locked and wanted[0] < max(self.locked):
            raise ValueError(f"lock {wanted[0]!r} would be taken after {max(self.locked)!r}")
        if not wanted:
            return set()
        parked = await self.connection.fetch(_LOCK, wanted)
        self.locked.update(wanted)
        return {row[0] for row in parked}


FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that a call to the database may raise; ``is_transient`` tells them apart."""
_TRANSIENT_CLASSES = ("08", "40", "53", "57")


def is_transient(error: BaseException) -> bool:
    """Whether the same batch may succeed later unchanged: connections, deadlocks, resources, locks, shutdown."""
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        return code[:2] in _TRANSIENT_CLASSES or code in ("55P03", "25P03")
    # A session that was told of a shutdown, and whose line is not cut yet, meets this error itself, none of its kinds.
    told_to_go = type(error) is asyncpg.InternalClientError
    return told_to_go or isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError)


def describe(error: BaseException) -> str:
    """What may be logged or kept of an error: its kind and place, never values (a database's DETAIL quotes rows)."""
    if isinstance(error, asyncpg.PostgresError):
        place = getattr(error, "constraint_name", None) or getattr(error, "table_name", None)
        return f"{type(error).__name__} {error.sqlstate or ''}" + (f" at {place}" if place else "")
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"ValidationError: {first['msg']} at /{'/'.join(map(str, first['loc']))}"
    return f"{type(error).__name__}: {error}"[:300]
