"""Questions over HTTP: few run at a time, on database sessions of their own, and none for long.

Otherwise one who may ask could keep all sessions and the whole database busy, and no message would be decided
meanwhile. So questions have a pool of their own. A few of each kind run at once, a few more wait for a slot, and the
others are told at once to come again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from services.chassis.base.database import Connection, Pool

__all__ = ["AT_ONCE", "IN_LINE", "READERS", "Busy", "Reads", "TooSlow"]

AT_ONCE: Final = 2
"""Questions that run at once; of an operator's sums only one runs."""
IN_LINE: Final = 16
"""Questions of a kind that wait for a slot."""
READERS: Final = AT_ONCE + 1
"""Sessions for questions."""
_SUMS_SECONDS: Final = 10.0
"""Seconds for an operator's sums, which count all rows. One sum at a time leaves enough of the database to others."""


class Busy(Exception):
    """There are more questions than slots: come again in a second."""


class TooSlow(Exception):
    """The answer took longer than the limit: ask for less."""


class Reads:
    """The database for a service's HTTP face. ``pool`` is the service's own, for what an operator changes."""

    def __init__(self, pool: Pool, readers: Pool) -> None:
        self.pool = pool
        self._readers = readers
        self._questions = _Line(AT_ONCE)
        self._sums = _Line(1)

    @contextlib.asynccontextmanager
    async def question(self) -> AsyncIterator[Connection]:
        """A session for one question, under the limit of its pool. Raises ``Busy`` and ``TooSlow``."""
        async with self._questions.slot(), self._session() as db:
            yield db

    @contextlib.asynccontextmanager
    async def sums(self) -> AsyncIterator[Connection]:
        """A session for an operator's sums. Raises ``Busy`` and ``TooSlow``."""
        async with self._sums.slot(), self._session() as db:
            await db.execute(f"SET statement_timeout = '{_SUMS_SECONDS}s'")  # the pool takes it back
            yield db

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        try:
            async with self._readers.acquire() as db:
                yield db
        except asyncpg.QueryCanceledError as error:
            raise TooSlow from error


class _Line:
    """Slots: some callers get one at once, some wait, and others are refused."""

    def __init__(self, at_once: int) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._most = at_once + IN_LINE
        self._here = 0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, and have it. Raises ``Busy``."""
        if self._here >= self._most:
            raise Busy
        self._here += 1
        try:
            async with self._room:
                yield
        finally:
            self._here -= 1
