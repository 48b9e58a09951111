"""Every session of a process is on the database that the process began with, or the process stops.

While a process runs, a restored database or a promoted standby may take the place of its database. The parts of the
process then connect again, one by one. The relay would move ``said`` behind messages of the later life, so nobody could
find out any more that the database was restored, and the service would send again what the later life has sent. So no
part gets a session on the new database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from services.chassis.base.database import Connection
from services.chassis.log.positions import SetBack

__all__ = ["SameDatabase"]

_WHICH: Final = """
SELECT (SELECT system_identifier FROM pg_control_system()) AS server,
       (SELECT oid FROM pg_database WHERE datname = current_database()) AS database,
       CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) END AS timeline,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() - '0/0'::pg_lsn END AS written"""
# A database restored beside the former one has another oid, a promoted standby another timeline. A folder of files put
# back has neither: what its server has flushed is less. What is not flushed yet may be gone after a crash.


class SameDatabase:
    """``on_change`` is told why the process stops."""

    def __init__(self, on_change: Callable[[Exception], None]) -> None:
        self._on_change = on_change
        self._first: tuple[Any, ...] | None = None
        self._written = 0

    async def check(self, db: Connection) -> None:
        """Called with each new session, before anybody else has it. Raises ``SetBack``."""
        least = self._written  # before the question, since several sessions may be opened at once
        found = await db.fetchrow(_WHICH)
        assert found is not None
        if found["timeline"] is None:
            return  # a standby takes no writes
        first = self._first or tuple(found)[:3]
        if tuple(found)[:3] != first or found["written"] < least:
            error = SetBack(
                "under this name there is another database than the one that this process began with: it was "
                "restored, or a standby was promoted; start again"
            )
            self._on_change(error)
            raise error
        self._first, self._written = first, max(self._written, int(found["written"]))
