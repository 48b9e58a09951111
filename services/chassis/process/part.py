"""A service as one part of a process in which several run in one event loop: for a first look and for tests.

Settings, lines, metrics and failpoints are its own, as in a process of its own. Signals and the garbage collector
belong to the process, and so to whoever runs its parts.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Mapping

from structlog.typing import Processor

from services.chassis.base import failpoints, logs, metrics
from services.chassis.process import starting

__all__ = ["ServicePart"]


class ServicePart:
    """The service of a package, under an environment of its own.

    It is made, migrated and run in contexts of its own: tasks that were made in them belong to it. ``stopping`` asks it
    to stop in order; ``begun`` is set once all that it does has begun.
    """

    def __init__(self, package: str, environment: Mapping[str, str]) -> None:
        """Raises what a start raises for settings that cannot be used (``starting.in_a_line``)."""
        self._package = package
        logs.begin(package.rpartition(".")[2])
        metrics.begin()
        failpoints.begin()
        self._settings = starting.settings_of(package, environment)
        self.level: str = self._settings.log_level
        self.stopping = asyncio.Event()
        self.begun = asyncio.Event()

    @staticmethod
    def load(package: str) -> None:
        """Load its libraries, before anything of it is needed."""
        importlib.import_module("services.chassis.process.runtime")
        importlib.import_module(f"{package}.service")

    def form(self) -> tuple[list[Processor], logging.Handler]:
        """How its lines are made."""
        return logs.form()

    @staticmethod
    def in_a_line(error: Exception) -> str:
        """Why it ended."""
        return starting.in_a_line(error)

    async def migrate(self) -> None:
        """Bring its database up to date."""
        await starting.migrate(self._package, self._settings)

    async def run(self) -> None:
        """Run until ``stopping``. Raises what a service in a process of its own ends with."""
        from services.chassis.process.runtime import Runtime

        runtime = Runtime(starting.build(self._package, self._settings), self._settings)
        runtime.stopping, runtime.begun = self.stopping, self.begun
        try:
            await runtime.run()
        finally:
            logs.end()
