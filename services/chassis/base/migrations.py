"""Migrations: numbered SQL files, each applied once in its own transaction, the chassis' before the service's."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg

from services.chassis.base.database import Connection
from services.chassis.base.failpoints import failpoint
from services.chassis.base.faults import Stopped
from services.chassis.base.logs import log

__all__ = ["CHASSIS", "MigrationError", "applied_at", "migrate", "pending"]

CHASSIS: Final = Path(__file__).parents[1] / "migrations"
_TABLE = """CREATE TABLE IF NOT EXISTS migration (
    name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"""
_APPLIED_AT: Final = "SELECT applied_at FROM migration WHERE name = $1"
_LOCK: Final = 0x5C_01


class MigrationError(Stopped):
    """A migration that was applied is another one in this version, or this version lacks it."""


def _files(folder: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in (CHASSIS, folder):
        label = "chassis" if part == CHASSIS else "service"
        found += [(f"{label}/{file.name}", file.read_text()) for file in sorted(part.glob("[0-9]*.sql"))]
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _applied(db: Connection) -> dict[str, str]:
    if not await db.fetchval("SELECT to_regclass('migration') IS NOT NULL"):
        return {}
    return {row["name"]: row["digest"] for row in await db.fetch("SELECT name, digest FROM migration")}


async def migrate(
    dsn: str, folder: Path, before: Callable[[Connection, list[str]], Awaitable[None]] | None = None
) -> list[str]:
    """Bring a database up to date; gives the names applied. Safe to run from several processes at once.

    ``before`` looks at a database that another version left, with the migrations that are to come. If it raises, none
    of them is applied. Raises ``MigrationError`` when an applied file was changed, or a later version has migrated the
    database.
    """
    connection = await asyncpg.connect(dsn)
    done: list[str] = []
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        applied = await _applied(connection)
        wanted = _files(folder)
        missing = _missing(applied, wanted)
        if before and applied and missing:
            await before(connection, missing)
        for name, text in wanted:
            if name in applied:
                if applied[name] != _digest(text):
                    raise MigrationError(f"{name} was changed after it was applied; add a new migration instead")
                continue
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute("INSERT INTO migration (name, digest) VALUES ($1, $2)", name, _digest(text))
                failpoint("P9")
            done.append(name)
            log().info("migration applied", migration=name)
    finally:
        await connection.close()
    return done


async def applied_at(db: Connection, name: str) -> datetime | None:
    """When this migration was applied to this database; None where it was not."""
    found: datetime | None = await db.fetchval(_APPLIED_AT, name)
    return found


async def pending(db: Connection, folder: Path) -> list[str]:
    """Names of migrations that a database still needs.

    Raises ``MigrationError`` when a later version has migrated it.
    """
    return _missing(await _applied(db), _files(folder))


def _missing(applied: Collection[str], files: list[tuple[str, str]]) -> list[str]:
    names = [name for name, _ in files]
    if later := sorted(set(applied).difference(names)):
        raise MigrationError(
            f"a later version has migrated this database ({', '.join(later)}); "
            "start that version, or restore the backup that was taken before"
        )
    return [name for name in names if name not in applied]
