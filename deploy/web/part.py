"""An application with pages as one part of a process in which several run in one event loop.

Settings and lines are its own, as in a process of its own. Signals belong to the process, and so to whoever runs its
parts. ``services/chassis/process/part.py`` is the same for services, which are not imported here.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from structlog.typing import Processor

from deploy.web.complaints import in_a_line
from deploy.web.logs import form
from deploy.web.settings import PageSettings, read

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["PagePart"]

Kept = TypeVar("Kept", bound=PageSettings)


class PagePart(Generic[Kept]):
    """The application of a package, under an environment of its own.

    It is made, migrated and run in one context. ``stopping`` asks it to stop; ``begun`` is set once it answers.
    """

    kind: ClassVar[type[PageSettings]]
    """The class of its settings."""
    settings: Kept

    def __init__(self, package: str, environment: Mapping[str, str] | None = None) -> None:
        """Raises ``ValueError`` for settings that cannot be used (``in_a_line``)."""
        self.package = package
        self.settings = read(self.kind, environment)  # type: ignore[assignment]  # a subclass names its kind twice
        self.level: str = self.settings.log_level
        self.stopping = asyncio.Event()
        self.begun = asyncio.Event()

    @staticmethod
    def load(package: str) -> None:
        """Load its libraries, before anything of it is needed."""
        importlib.import_module(f"{package}.app")

    def form(self) -> tuple[list[Processor], logging.Handler]:
        """How its lines are made."""
        return form(self.package.rpartition(".")[2])

    @classmethod
    def in_a_line(cls, error: Exception) -> str:
        """Why it ended."""
        return in_a_line(error, cls.kind)

    async def migrate(self) -> None:
        """Bring its database up to date, if it has one."""

    async def application(self) -> FastAPI:
        """The application: ``build(settings)`` of its module ``app``. Raises ``ValueError`` where it cannot start."""
        app: FastAPI = importlib.import_module(f"{self.package}.app").build(self.settings)
        return app

    async def run(self) -> None:
        """Serve until ``stopping``. Raises ``ValueError`` when it cannot start."""
        from deploy.web.serving import listen, serve_until

        app = await self.application()
        listener = listen(self.settings.http_host, self.settings.http_port)
        await serve_until(self.stopping, app, listener, self.settings.trusted_proxies, begun=self.begun)
