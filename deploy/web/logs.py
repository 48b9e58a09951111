"""Logs of processes with pages: one JSON line each, an error without its trace, and what repeats once.

The first warning or error of a kind is written at once. Those like it are counted, and one line tells their number when
none has come for a while. ``services/chassis/base/repeats.py`` does the same for services, which are not imported here.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

import structlog
from structlog.exceptions import DropEvent
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["Repeats", "configure", "form"]

QUIET_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 30.0
"""What a group of readers says while it starts is written only if it goes on for so long."""
_MOST: Final = 200
_VARYING: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{12,}|\d+")
_PASSING: Final = re.compile(r"CoordinatorNotAvailable|CoordinatorLoadInProgress|NotCoordinator")
_PLACES: Final = ("place", "timestamp")
"""Fields that tell lines of one kind apart, and so are no part of it."""


@dataclass
class _Kind:
    event: str
    first: float
    last: float
    count: int = 0
    written: bool = False


class Repeats:
    """Counts warnings and errors by kind; a processor of structlog."""

    def __init__(self, quiet: float = QUIET_SECONDS) -> None:
        self._quiet = quiet
        self._kinds: dict[str, _Kind] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """The line, or ``DropEvent`` for one that is counted only."""
        if method not in ("warning", "error", "critical", "exception"):
            return event
        text = " ".join(str(value) for name, value in sorted(event.items()) if name not in _PLACES)
        if not self._writes(_VARYING.sub("#", text)[:300], event, time.monotonic()):
            raise DropEvent
        return event

    def _writes(self, key: str, event: EventDict, now: float) -> bool:
        with self._lock:
            name = str(event.get("event"))[:200]
            if key not in self._kinds and len(self._kinds) >= _MOST:
                key, name = "", "lines of further kinds"
            kind = self._kinds.setdefault(key, _Kind(name, now, now))
            kind.count += 1
            kind.last = now
            if self._timer is None:
                self._sweep_later()
            if kind.written or (_PASSING.search(name) and now - kind.first < PATIENCE_SECONDS):
                return False
            kind.written = True
            return True

    def _sweep_later(self) -> None:
        # A thread begins with an empty context, in which nobody knows any more whose lines these are.
        self._timer = threading.Timer(self._quiet / 3, copy_context().run, [self.sweep])
        self._timer.daemon = True
        self._timer.start()

    def sweep(self, now: float | None = None) -> None:
        """Tell what has ended: by now, or by a moment of ``time.monotonic()``."""
        at = time.monotonic() if now is None else now
        with self._lock:
            over = [key for key, kind in self._kinds.items() if at - kind.last > self._quiet]
            ended = [self._kinds.pop(key) for key in over]
            self._timer = None
            if self._kinds:
                self._sweep_later()
        for kind in ended:
            if kind.written and kind.count > 1:
                structlog.get_logger().info(
                    "no longer repeated", name=kind.event, count=kind.count, seconds=round(kind.last - kind.first, 1)
                )


def _without_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An error's kind, text and last place in one line."""
    told = event.pop("exc_info", None)
    error = told if isinstance(told, BaseException) else _current(told)
    if error is not None:
        place, frame = "", error.__traceback__
        while frame is not None:
            code = frame.tb_frame.f_code
            place = f" at {'/'.join(code.co_filename.split('/')[-2:])}:{frame.tb_lineno}"
            frame = frame.tb_next
        event["error"] = f"{type(error).__name__}: {error}"[:300] + place
    return event


def _current(told: Any) -> BaseException | None:
    if isinstance(told, tuple):
        error: BaseException | None = told[1]
        return error
    return sys.exc_info()[1] if told else None


class _ToStructlog(logging.Handler):
    """Lines of libraries in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        write = getattr(structlog.get_logger(), record.levelname.lower(), structlog.get_logger().warning)
        write(" ".join(record.getMessage().split())[:500], **fields)


def form(service: str) -> tuple[list[Processor], logging.Handler]:
    """How lines are made: processors of structlog, and the handler for lines of libraries."""

    def with_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"service": service, **event}

    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_trace,
        Repeats(),
        with_service,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ], _ToStructlog()


def configure(level: str, service: str) -> None:
    """Set up structlog and the standard library's root logger for this process."""
    processors, handler = form(service)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(),
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
