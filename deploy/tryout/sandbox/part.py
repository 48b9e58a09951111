"""A sandbox with its database: as a program, or as one part of a process in which other parts of a linkage run too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from deploy.tryout.sandbox.database import migrate, pending
from deploy.tryout.sandbox.settings import SandboxSettings
from deploy.web.complaints import in_a_line
from deploy.web.part import PagePart

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["SandboxPart"]


class SandboxPart(PagePart[SandboxSettings]):
    """A sandbox under an environment of its own.

    Its package has a module ``app`` with ``build(settings)``, and a folder ``migrations`` if it has tables of its own.
    """

    kind = SandboxSettings

    async def migrate(self) -> None:
        """Apply the migrations of all sandboxes, then its own. Raises ``ValueError``."""
        with _database_named():
            await migrate(self.settings, *self._migrations())

    async def application(self) -> FastAPI:
        """The application. Raises ``ValueError`` also when its database was not migrated."""
        app = await super().application()
        with _database_named():
            missing = await pending(self.settings, *self._migrations())
        if missing:
            raise ValueError(f"its database lacks {', '.join(missing)}; run it once with the argument 'migrate'")
        return app

    def _migrations(self) -> list[Path]:
        """Folders of migrations beside those of the books, which all sandboxes have."""
        own = Path(str(files(self.package))) / "migrations"
        return [own] if own.is_dir() else []


@contextlib.contextmanager
def _database_named() -> Iterator[None]:
    """Tells an error of the database with the setting on which it depends, and never with the DSN, which has a
    password."""
    try:
        yield
    except (ValueError, OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise ValueError(f"SHUANGCHENG_DATABASE: {in_a_line(error, SandboxSettings)}") from None
