"""``python -m deploy.tryout.local.together MODULE…``: the parts of a linkage in one process and one event loop.

It loads the modules while broker and database still start. Then it reads the parts from standard input, as JSON: a list
of objects with ``name``, ``module``, ``migrates`` and ``environment``. Environments hold passwords, so no file and no
command line has them. It brings all databases up to date, then serves every part on its own port, with settings,
database, consumer groups, metrics and lines of its own. Each line says which ``part`` wrote it.

SIGTERM stops all parts in order, exit 0. A part that cannot start, or ends by itself, makes the others stop in order
too; the last line then names the part: exit 2 when it could not start, 1 when it ended later.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Protocol

import asyncpg
import structlog
import yaml
from structlog.exceptions import DropEvent
from structlog.typing import EventDict, Processor, WrappedLogger

from deploy.operator.part import OperatorPart
from deploy.tryout.sandbox.part import SandboxPart
from services.chassis.base.faults import CannotStart, Stopped
from services.chassis.process.garbage import collect_less, collect_rarely
from services.chassis.process.part import ServicePart

__all__ = ["Linkage", "main"]

_STOP_SECONDS: Final = 8.0
"""Seconds for the orderly stop; the launcher kills the process soon after."""
_FOR_PEOPLE: Final = (ValueError, OSError, CannotStart, Stopped, yaml.YAMLError, asyncpg.PostgresError)
"""Errors whose text says what is to be done. Any other error is a fault of ours, and its trace is written."""


class Part(Protocol):
    """A part as this process runs it."""

    level: str
    stopping: asyncio.Event
    begun: asyncio.Event

    def form(self) -> tuple[list[Processor], logging.Handler]:
        """How its lines are made."""

    async def migrate(self) -> None:
        """Bring its database up to date."""

    async def run(self) -> None:
        """Run until ``stopping``."""


def _kind(module: str) -> type[ServicePart] | type[SandboxPart] | type[OperatorPart]:
    if module.startswith("services."):
        return ServicePart
    return OperatorPart if module == "deploy.operator" else SandboxPart


@dataclass(frozen=True)
class _Speaker:
    """Whose lines are written in a context."""

    level: int
    processors: Sequence[Processor]
    handler: logging.Handler


_PLAIN: Final[list[Processor]] = [structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
_OF_NO_PART: Final = _Speaker(logging.INFO, _PLAIN, logging.StreamHandler())
_speaker: ContextVar[_Speaker] = ContextVar("speaker", default=_OF_NO_PART)


def _as_its_part(logger: WrappedLogger, method: str, event: EventDict) -> Any:
    """A line as the part that writes it makes its lines."""
    speaker = _speaker.get()
    if logging.getLevelNamesMapping().get(method.upper(), logging.ERROR) < speaker.level:
        raise DropEvent
    made: Any = event
    for processor in speaker.processors:
        made = processor(logger, method, made)
    return made


class _Libraries(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _speaker.get().handler.emit(record)


def _speak(name: str, level: str, form: tuple[list[Processor], logging.Handler]) -> None:
    *processors, rendered = form[0]

    def with_part(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"part": name, **event}

    made = [*processors, with_part, rendered]
    _speaker.set(_Speaker(logging.getLevelNamesMapping()[level], made, form[1]))


def _write_lines() -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    structlog.configure(
        processors=[_as_its_part],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.PrintLoggerFactory(),
    )
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(logging.WARNING)


class Linkage:
    """The parts, from their making to their orderly end."""

    def __init__(self, table: Sequence[Mapping[str, Any]]) -> None:
        self._table = table
        self._parts: dict[str, Part] = {}
        self._to_migrate = len(table)
        self._go = asyncio.Event()
        self._ended = False
        self.status = 0
        self.report: list[str] = []
        """Which parts ended unasked, and why."""

    async def run(self) -> None:
        """Run all parts until somebody asks for the end, or a part ends."""
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(self._guarded(row), name=row["name"]) for row in self._table]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        collecting = asyncio.create_task(self._collect())
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._stop()
        _, late = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        for task in (*late, collecting):
            task.cancel()
        await asyncio.gather(*tasks, collecting, return_exceptions=True)

    def _stop(self) -> None:
        """Ask every part to stop in its order. What ends from here on was asked to."""
        self._ended = True
        for part in self._parts.values():
            part.stopping.set()
        self._go.set()

    async def _collect(self) -> None:
        await self._go.wait()
        await collect_rarely([part.begun for part in self._parts.values()])

    async def _all_migrated(self) -> None:
        """Wait until every database is up to date: an instance of a service does not migrate its database itself."""
        self._to_migrate -= 1
        if not self._to_migrate:
            self._go.set()
        await self._go.wait()

    async def _guarded(self, row: Mapping[str, Any]) -> None:
        kind = _kind(row["module"])
        part: Part | None = None
        try:
            part = self._parts[row["name"]] = kind(row["module"], row["environment"])
            _speak(row["name"], part.level, part.form())
            if row["migrates"]:
                await part.migrate()
            await self._all_migrated()
            if not self._ended:
                await part.run()
            why = "it ended by itself"
        except Exception as error:
            if not isinstance(error, _FOR_PEOPLE):
                traceback.print_exc()
            why = kind.in_a_line(error) or type(error).__name__
        if not self._ended:
            self.status = 1 if part is not None and part.begun.is_set() else 2
            self.report.append(f"{row['name']}: {why}")
            self._stop()


def main(modules: Sequence[str]) -> int:
    """Run the parts that standard input names, and give the exit status."""
    _write_lines()
    collect_less()
    for module in modules:
        _kind(module).load(module)
    linkage_of = json.load(sys.stdin)

    async def run() -> Linkage:
        linkage = Linkage(linkage_of)
        await linkage.run()
        return linkage

    ended = asyncio.run(run())
    for line in ended.report:
        print(line, file=sys.stderr)
    return ended.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
