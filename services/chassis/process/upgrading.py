"""Whether this version can go on with a database that another version left: asked before anything in it changes.

Three tables keep messages as bytes. What this version cannot decode in the outbox or among the timers would be lost in
the services that read it, so such a database is refused. What is set aside is kept with its bytes either way: it is
listed, since an operator has to discard it, or ask its sender for it again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from services.chassis.base import migrations
from services.chassis.base.database import Connection
from services.chassis.base.faults import CannotStart
from services.chassis.base.logs import log

__all__ = ["CannotUpgrade", "Found", "Unreadable", "check", "look", "upgrade"]

# Only columns that the first version had. The order is the order of sending, and of deciding.
_OUTBOX: Final = "SELECT id::text AS place, headers, value FROM outbox ORDER BY id"
_TIMERS: Final = "SELECT name AS place, headers, value FROM timer ORDER BY due, name"
_SET_ASIDE: Final = """
SELECT topic || '/' || partition || '/' || "offset" AS place, headers, value
FROM set_aside
WHERE reason IN ('waiting', 'behind', 'ready', 'raised')
ORDER BY seq
"""
_MANY: Final = 500


class CannotUpgrade(CannotStart):
    """This version cannot go on with the database; the message says why, and what to do."""


class Unreadable(NamedTuple):
    """A message that this version cannot decode. ``place``: the row of the outbox, the timer's name, or of a message
    set aside ``topic/partition/offset``; ``detail``: why it is not in the contract."""

    place: str
    detail: str


@dataclass(slots=True)
class Found:
    """What an upgrade of one database meets."""

    pending: list[str]
    """Migrations that this version will apply."""
    outbox: list[Unreadable] = field(default_factory=list)
    timers: list[Unreadable] = field(default_factory=list)
    set_aside: list[Unreadable] = field(default_factory=list)
    """Messages that an earlier version could decode, and that wait for something or for an operator."""

    @property
    def obstacle(self) -> str | None:
        """Why the database cannot be upgraded, in one line; None where it can."""
        said = [_counted("rows of the outbox", self.outbox), _counted("timers", self.timers)]
        if not any(said):
            return None
        what = " and ".join(filter(None, said))
        return f"this version cannot read {what}; start the version before, and run `shuangcheng upgrade drain`"

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        return {**asdict(self), "obstacle": self.obstacle}


def _counted(name: str, found: list[Unreadable]) -> str:
    return f"{name}: {len(found)} (first {found[0].place}: {found[0].detail})" if found else ""


async def look(dsn: str, folder: Path) -> Found:
    """Ask a database, and change nothing. Raises ``MigrationError`` when a later version has migrated it."""
    connection = await asyncpg.connect(dsn)
    try:
        return await _found(connection, await migrations.pending(connection, folder))
    finally:
        await connection.close()


async def upgrade(dsn: str, folder: Path) -> list[str]:
    """Migrate, unless this version could not go on afterwards; gives the names applied. A database that needs no
    migration is not looked into.

    Raises ``CannotUpgrade`` and ``MigrationError``.
    """
    return await migrations.migrate(dsn, folder, _require_readable)


async def _require_readable(db: Connection, pending: list[str]) -> None:
    found = await _found(db, pending)
    if found.obstacle is not None:
        raise CannotUpgrade(found.obstacle)
    if found.set_aside:
        first = found.set_aside[0]
        detail = f"first {first.place}: {first.detail}; `migrate --check` lists them"
        log().warning("set aside, and not in the contract any more", count=len(found.set_aside), detail=detail)


async def check(dsn: str, folder: Path) -> None:
    """Print what an upgrade would meet, one line of JSON. Raises ``CannotUpgrade`` and ``MigrationError``."""
    found = await look(dsn, folder)
    print(orjson.dumps(found.document()).decode())
    if found.obstacle is not None:
        raise CannotUpgrade(found.obstacle)


async def _found(db: Connection, pending: list[str]) -> Found:
    found = Found(pending)
    async with db.transaction(readonly=True):
        if await db.fetchval("SELECT to_regclass('set_aside') IS NOT NULL"):
            found.outbox = await _unreadable(db, _OUTBOX)
            found.timers = await _unreadable(db, _TIMERS)
            found.set_aside = await _unreadable(db, _SET_ASIDE)
    return found


async def _unreadable(db: Connection, query: str) -> list[Unreadable]:
    # Every start of a linkage migrates all of its databases, and nearly always there is nothing to decode.
    from contracts.envelope import ContractError, decode
    from services.chassis.log.records import unpack_headers

    found: list[Unreadable] = []
    async for row in db.cursor(query, prefetch=_MANY):
        try:
            decode(row["value"], unpack_headers(row["headers"]))
        except ContractError as error:
            found.append(Unreadable(row["place"], str(error)))
    return found
