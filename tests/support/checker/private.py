"""The tables of services beside their audit views: a code in clear must be in none of them, and tests may look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import asyncpg

from deploy.audit import World
from deploy.audit.world import Row

__all__ = ["with_private_tables"]

_TABLES = """SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL($1) ORDER BY tablename"""
_AS_THEY_CAME = ["set_aside", "discarded"]
"""Messages that nobody read are kept with all their bytes."""


async def with_private_tables(world: World, dsns: Mapping[str, str]) -> World:
    """The snapshot, and under names of their own the rows of all other tables of services."""
    private = {name: await _tables(dsns[name]) for name in world.tables}
    return replace(world, tables={name: tables | private[name] for name, tables in world.tables.items()})


async def _tables(dsn: str) -> dict[str, list[Row]]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        names = [row[0] for row in await connection.fetch(_TABLES, _AS_THEY_CAME)]
        rows = {name: await connection.fetch(f'TABLE "{name}"') for name in names}
    finally:
        await connection.close()
    return {f"{name} (private)": [dict(row) for row in found] for name, found in rows.items()}
