"""The number of a process among those of its service: the lowest free one, for as long as the process lives.

Kafka knows the members of a group by their numbers (static membership), so no two processes may have the same number. A
process that has a number holds an advisory lock in the service's own database, on a session that does nothing else.
PostgreSQL ends the session together with the process, or 25 s after the machine has vanished.

A process whose session ended takes the same number again. It finds out within ``_LOOK_SECONDS`` and the time limit of
one query, both together 10 s. If another process took the number meanwhile, the first one stops. So two processes
believe that they have one number for 10 s at most, or for as long as the first cannot reach the database; then it
applies nothing, and the two disturb each other in their groups only.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Final

import asyncpg

from services.chassis.base.backoff import Backoff
from services.chassis.base.database import FAILURES
from services.chassis.base.faults import Stopped
from services.chassis.base.logs import Episode
from services.chassis.base.settings import Settings

__all__ = ["Instance", "NumberTaken"]

_NUMBERS: Final = 0x5C_05
"""The first of the two numbers of these advisory locks; PostgreSQL keeps them apart from locks of one number."""
_MOST: Final = 1000
_LOOK_SECONDS: Final = 5.0
_QUERY_SECONDS: Final = 5.0
_SHORTEST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 0.5
_TAKE = "SELECT pg_try_advisory_lock($1, $2)"
_HOLDER = """SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND classid::bigint = $1 AND objid::bigint = $2 AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_SESSION: Final = {
    "timezone": "UTC",
    "idle_session_timeout": "0",
    # a machine that is gone without a word is noticed after 10 + 3 * 5 s
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class NumberTaken(Stopped):
    """Another process took the number of this process, which had lost the database."""


class Instance:
    """This process's number; ``number`` is known once it is taken."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings = settings
        self._name = f"{service}-number-{uuid.uuid4().hex[:12]}"
        """The name by which the database tells sessions of this process from all others."""
        self._lost = asyncio.Event()
        self._away = Episode("the session that holds this process's number is lost")
        self._db: asyncpg.Connection[asyncpg.Record] | None = None
        self.number = 0

    async def take(self) -> int:
        """Take the lowest free number. Raises ``OSError`` and PostgreSQL's errors when there is no database."""
        db = await self._connect()
        for number in range(_MOST):
            if await db.fetchval(_TAKE, _NUMBERS, number, timeout=_QUERY_SECONDS):
                self.number = number
                return number
        raise Stopped(f"{_MOST} processes of this service have a number already")

    async def keep(self) -> None:
        """Hold the number until cancelled, even when the session ends. Raises ``NumberTaken``."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._lost.wait()
            except TimeoutError:
                pass
            if await self._held():
                continue
            self._away.failed("it is taken again as soon as the database answers")
            backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF)
            while not await self._taken_again():
                backoff.failed()
                await backoff.wait()
            self._away.over()

    async def close(self) -> None:
        """Give the number back."""
        if self._db is not None:
            self._db.terminate()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._db is not None:
            self._db.terminate()
        self._lost.clear()
        self._db = db = await asyncpg.connect(
            self._settings.database.get_secret_value(),
            timeout=10,
            command_timeout=_QUERY_SECONDS,
            server_settings={**_SESSION, "application_name": self._name},
        )
        db.add_termination_listener(self._ended)
        return db

    def _ended(self, db: Any) -> None:
        if db is self._db:
            self._lost.set()

    async def _held(self) -> bool:
        assert self._db is not None
        try:
            return bool(await self._db.fetchval("SELECT true"))
        except FAILURES:
            return False

    async def _taken_again(self) -> bool:
        """False while the database does not answer, or has not yet seen the end of the former session."""
        try:
            db = await self._connect()
            if await db.fetchval(_TAKE, _NUMBERS, self.number):
                return True
            for holder in await db.fetch(_HOLDER, _NUMBERS, self.number):
                if holder["application_name"] != self._name:
                    raise NumberTaken(
                        f"number {self.number} was taken by another process while the database was away; "
                        "start again, and a free one is taken"
                    )
                await db.execute("SELECT pg_terminate_backend($1)", holder["pid"])
        except FAILURES:
            pass
        return False
