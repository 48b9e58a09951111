"""Migrated databases that tests copy: to apply all migrations anew takes five times as long as to copy their result."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from deploy.tryout.local.postgres import Postgres
from services.chassis.base.migrations import CHASSIS, migrate

__all__ = ["Templates", "migrations_of"]

_OWNER: Final = "tester"


def migrations_of(service: str) -> Path:
    """The folder of the migrations of a service, by the service's name."""
    return CHASSIS.parents[1] / service / "migrations"


class Templates:
    """One template for each set of migrations, made when the first test asks for it. The owner is ``tester``."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._one_at_a_time = asyncio.Lock()
        self._made: set[str] = set()

    async def of(self, folder: Path) -> str:
        """The name of a database to which the migrations of this folder, and those of the chassis, are applied."""
        name = f"migrated_{_digest(folder)[:16]}"
        async with self._one_at_a_time:
            if name not in self._made:
                await migrate(await self._postgres.create_database(name, owner=_OWNER), folder)
                self._made.add(name)
        return name


def _digest(folder: Path) -> str:
    files = sorted(folder.glob("[0-9]*.sql"))
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()
