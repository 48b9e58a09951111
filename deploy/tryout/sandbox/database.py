"""The sandbox's own PostgreSQL database: a pool, and migrations applied in the order of their file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import asyncpg

from deploy.tryout.sandbox.settings import SandboxSettings

__all__ = ["Connection", "Pool", "migrate", "open_pool", "pending"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_SHARED = Path(__file__).parent / "migrations"
_LOCK = 20_230_722
"""Any number. It is the same for all processes that migrate this database."""


async def open_pool(settings: SandboxSettings) -> Pool:
    """A pool of connections to the sandbox's database."""
    return await asyncpg.create_pool(
        settings.database.get_secret_value(),
        min_size=1,
        max_size=6,
        command_timeout=30,
        server_settings={"application_name": f"sandbox-{settings.registry}", "timezone": "UTC", "jit": "off"},
    )


async def migrate(settings: SandboxSettings, *more: Path) -> None:
    """Apply the migrations that are not applied yet: first of the shared books, then of the folders in ``more``. One
    transaction."""
    connection = await _connect(settings)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute("CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY)")
            for file in await _not_applied(connection, more):
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute("INSERT INTO migration VALUES ($1)", file.name)
    finally:
        await connection.close()


async def pending(settings: SandboxSettings, *more: Path) -> list[str]:
    """Names of migrations that the database still needs."""
    connection = await _connect(settings)
    try:
        return [file.name for file in await _not_applied(connection, more)]
    finally:
        await connection.close()


async def _connect(settings: SandboxSettings) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(settings.database.get_secret_value(), timeout=10)


async def _not_applied(connection: Connection, more: Sequence[Path]) -> list[Path]:
    files = [file for folder in (_SHARED, *more) for file in sorted(folder.glob("*.sql"))]
    if not await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL"):
        return files
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migration")}
    return [file for file in files if file.name not in done]
