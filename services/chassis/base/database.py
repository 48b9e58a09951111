"""PostgreSQL as the chassis uses it: pools, a batch's transaction with its ordered locks, and the text of errors."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic import ValidationError

from services.chassis.base.failures import OutOfTime

__all__ = [
    "FAILURES",
    "Batch",
    "Connection",
    "Opened",
    "Pool",
    "Pooled",
    "add_rows",
    "alone",
    "describe",
    "forget_names",
    "lock",
    "one_at_a_time",
    "open_connection",
    "open_pool",
    "takes_writes",
    "transaction",
]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Opened: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]
"""Called with each new session. Its error reaches whoever wanted the session."""

_LOCK = """
WITH locked AS (
    INSERT INTO entity (name) SELECT name FROM unnest($1::text[]) AS t(name) ORDER BY name COLLATE "C"
    ON CONFLICT (name) DO UPDATE SET parked = entity.parked WHERE entity.parked RETURNING name, parked)
SELECT name FROM locked WHERE parked
"""
# DO UPDATE locks every row that is there, in the order given. Its WHERE sees the row as it is once it is locked. It
# writes the few parked rows again unchanged, so that RETURNING gives their names.


_FORGET = """DELETE FROM entity WHERE name = ANY(ARRAY(
    SELECT name FROM entity WHERE made_at < $1 AND NOT parked LIMIT $2 FOR UPDATE SKIP LOCKED))"""

_PROBE = """INSERT INTO probe (session, at) VALUES (current_setting('application_name'), now())
ON CONFLICT (session) DO UPDATE SET at = excluded.at"""

_ALONE_EVERY = 0.5
_ONE_AT_A_TIME = 0x5C_02
_LONGEST_CALL = 60.0
"""Seconds until a call to the database is given up; its own limits below come first, if it lives."""
_LONGEST_IDLE = 60.0
"""Seconds for which a transaction may stand while this process computes; then PostgreSQL ends its session."""
_SESSION = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": f"{_LONGEST_IDLE * 1000:.0f}",
}
_BY_KEY = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
# A batch reads by key, whatever its length. Each statement is planned once, perhaps while the tables are empty; even
# then it must not be planned as a scan.
_ARRAYS = ("boolean", "bytea", "date", "integer", "bigint", "timestamptz", "uuid", "xid")
_ALL_ARRAYS = f"SELECT {', '.join(f'${place}::{name}[]' for place, name in enumerate(_ARRAYS, 1))}"


async def open_pool(
    dsn: str, *, size: int, application: str, seconds: float | None = None, opened: Opened | None = None
) -> Pool:
    """A pool whose sessions fail rather than hang: statements, locks and idle transactions have limits.

    ``seconds``: the limit of a statement, where the usual one is too long; such a pool opens sessions when needed.
    """
    limits = _SESSION if seconds is None else _SESSION | {"statement_timeout": f"{round(seconds * 1000)}ms"}
    return await asyncpg.create_pool(
        dsn,
        min_size=1 if seconds is None else 0,
        max_size=size,
        init=opened,
        command_timeout=_LONGEST_CALL,
        server_settings={**limits, "application_name": application},
    )


async def open_connection(
    dsn: str, *, application: str, opened: Opened | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """One session for batches alone, with the same limits."""
    connection = await asyncpg.connect(
        dsn,
        timeout=10,
        command_timeout=_LONGEST_CALL,
        server_settings={**_SESSION, **_BY_KEY, "application_name": application},
    )
    # Before the first statement with an array asyncpg asks the catalogue about its type. One statement here asks for
    # all types at once; otherwise the first batch would ask for each.
    try:
        await connection.prepare(_ALL_ARRAYS)
        if opened is not None:
            await opened(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def add_rows(
    db: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, within: float = _LONGEST_CALL
) -> None:
    """Insert rows that are known to be new, by COPY: one statement, under all constraints; none without rows.

    Raises ``TimeoutError`` after ``within`` seconds. A COPY that waits for room to write notices neither asyncpg's own
    time limit nor a lost connection: without this limit a lane would hang for good.
    """
    if rows:
        async with asyncio.timeout(within):
            await db.copy_records_to_table(table, columns=list(columns), records=rows)


class Pooled:
    """A connection of a pool, for as long as this context lasts; one that is lost can be replaced meanwhile."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.db: PoolConnectionProxy[asyncpg.Record]

    async def __aenter__(self) -> Pooled:
        """Take it."""
        self.db = await self._pool.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        await self._pool.release(self.db)

    async def renew(self) -> Connection:
        """Give it back and take another."""
        await self._pool.release(self.db)
        self.db = await self._pool.acquire()
        return self.db


@contextlib.asynccontextmanager
async def transaction(db: Connection) -> AsyncIterator[None]:
    """One transaction, committed at the end.

    Raises ``OutOfTime`` if the database ended it because this process computed too long. The client tells nobody why a
    session is gone, so a transaction that was lost after more time than any of its calls may take counts as such.
    """
    began = time.monotonic()
    try:
        async with db.transaction():
            yield
    except Exception as error:
        if db.is_closed() and time.monotonic() - began >= _LONGEST_IDLE:
            raise OutOfTime(f"a transaction of {time.monotonic() - began:.0f} s was ended") from error
        raise


async def takes_writes(db: Connection) -> bool:
    """Whether this connection takes another write, and commits it."""
    if db.is_closed() or db.is_in_transaction():
        return False
    try:
        await db.execute(_PROBE)
    except FAILURES:
        return False
    return True


async def forget_names(db: Connection, before: datetime, most: int) -> int:
    """Delete up to ``most`` rows of names that were made before that moment and are not parked; gives how many.

    It waits for no lock, so it cannot be part of a deadlock. A batch that locks such a name waits, and makes it again.
    """
    return int((await db.execute(_FORGET, before, most)).split()[-1])


async def lock(db: Connection, names: Sequence[str]) -> set[str]:
    """Lock these entities, made if missing, in the order given; give those that are parked. One statement."""
    return {row[0] for row in await db.fetch(_LOCK, names)}


async def one_at_a_time(db: Connection) -> None:
    """Keep everybody else from deciding or releasing what is set aside until this transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", _ONE_AT_A_TIME)


async def alone(db: Connection, number: int, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
    """Return when this session holds the advisory lock of this number, which no other session holds then.

    ``meanwhile`` is called after each look that found the lock held. The lock is free again when the session ends, or
    goes back to its pool. It is asked for again and again, since a statement that waits in the database ends with an
    error after the longest time of a call.
    """
    while not await db.fetchval("SELECT pg_try_advisory_lock($1)", number):
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(_ALONE_EVERY)


Lock: TypeAlias = Callable[[Connection, Sequence[str]], Awaitable[set[str]]]


class Batch:
    """One open transaction and the entities locked in it."""

    def __init__(self, connection: Connection, lock: Lock = lock) -> None:
        self.connection = connection
        self.locked: set[str] = set()
        self._lock = lock

    async def lock(self, names: Iterable[str]) -> set[str]:
        """Lock these entities, made if missing, in name order; give those that are parked. One statement.

        Every batch locks in ascending rounds, so no two batches deadlock. A name that sorts before the names
        of an earlier round is a fault of the service and raises ``ValueError``.
        """
        wanted = sorted(set(names) - self.locked)
        if wanted and self.locked and wanted[0] < max(self.locked):
            raise ValueError(f"lock {wanted[0]!r} would be taken after {max(self.locked)!r}")
        if not wanted:
            return set()
        parked = await self._lock(self.connection, wanted)
        self.locked.update(wanted)
        return parked


FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that a call to the database may raise; ``failures.classify`` tells them apart."""


def describe(error: BaseException) -> str:
    """The text of an error for logs and tables: its kind and place, never values (a database's DETAIL quotes rows)."""
    if isinstance(error, asyncpg.PostgresError):
        place = getattr(error, "constraint_name", None) or getattr(error, "table_name", None)
        return f"{type(error).__name__} {error.sqlstate or ''}" + (f" at {place}" if place else "")
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"ValidationError: {first['msg']} at /{'/'.join(map(str, first['loc']))}"
    return f"{type(error).__name__}: {error}"[:300]
