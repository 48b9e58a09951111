"""Structured logs: one JSON line each on standard output, keys from an allow-list so that no body slips in (promise 5).

A warning or error that repeats is written once; when it comes no more, one line says how often it came and how long.
So an outage of which every client complains twice a second makes a dozen lines, however long it lasts.
"""

from __future__ import annotations

import atexit
import logging
import math
import re
import threading
import time
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from structlog.exceptions import DropEvent
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from services.chassis.base import metrics
from services.chassis.base.database import describe
from services.chassis.base.failures import classify, is_transient
from services.chassis.base.repeats import QUIET_SECONDS, Repeats, shape

__all__ = ["ALLOWED", "Episode", "Logger", "about", "begin", "configure", "end", "form", "log", "raised"]

Logger = FilteringBoundLogger

ALLOWED: Final = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "service",
        "instance",
        "lane",
        "group",
        "topic",
        "partition",
        "offset",
        "expected",
        "found",
        "subject",
        "reason",
        "detail",
        "error",
        "count",
        "seconds",
        "applied",
        "duplicates",
        "set_aside",
        "attempt",
        "name",
        "number",
        "due",
        "failpoint",
        "address",
        "path",
        "status",
        "method",
        "url",
        "exception",
        "logger",
        "kind",
        "migration",
        "version",
        "profile",
        "lanes",
        "released",
        "type",
        "ref_digest",
        "operator",
    ]
)


_KIND: Final = ("logger", "group", "lane", "topic", "name", "kind", "path", "type", "reason")
"""Two lines of one kind agree in these fields, in their event and in the shape of their detail."""
_PASSING: Final = re.compile(r"CoordinatorNotAvailable|CoordinatorLoadInProgress|NotCoordinator|UnknownMemberId")
"""Lines of a group that starts or moves. They stop by themselves; a line that goes on is written later."""

_MOST_DETAILS: Final = 5
"""Kinds of detail that one episode says."""


@dataclass(frozen=True)
class _Own:
    """What belongs to the lines of one service: fields that all of them carry, and lines that are counted."""

    about: dict[str, object] = field(default_factory=dict)
    repeats: Repeats = field(default_factory=Repeats)
    sweeping: threading.Lock = field(default_factory=threading.Lock)


_of_the_process: Final = _Own()
_own: ContextVar[_Own] = ContextVar("own", default=_of_the_process)
_judged: ContextVar[bool] = ContextVar("judged", default=False)


def _kind(event: EventDict) -> tuple[tuple[object, ...], dict[str, object]]:
    told = {name: event[name] for name in _KIND if name in event}
    text = " ".join(str(event[name]) for name in ("event", "detail", "error") if name in event)
    return (shape(text), *map(str, told.values())), {"name": str(event.get("event"))[:200]} | told


def _writes(level: str, event: EventDict) -> bool:
    """Whether a line is written, and not only counted."""
    if level not in ("warning", "error", "critical", "exception"):
        return True
    key, told = _kind(event)
    passes = _PASSING.search(f"{event.get('event')} {event.get('detail', '')}") is not None
    written = _own.get().repeats.writes((level, *key), told, time.monotonic(), passes=passes)
    _sweep_later()
    return written


def _once(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if _judged.get() or _writes(method, event):
        return event
    raise DropEvent


def _sweep_later() -> None:
    if _own.get().sweeping.acquire(blocking=False):
        # A thread begins with an empty context. Its lines are those of the service whose lines it counts.
        timer = threading.Timer(QUIET_SECONDS / 3, copy_context().run, [_sweep])
        timer.daemon = True
        timer.start()


def _sweep() -> None:
    own = _own.get()
    try:
        _tell_ended(time.monotonic())
    finally:
        own.sweeping.release()
    if own.repeats.counting:
        _sweep_later()


def _tell_ended(now: float) -> None:
    for ended in _own.get().repeats.ended(now):
        log().info("no longer repeated", **ended.about, count=ended.count, seconds=ended.seconds)


def _with_about(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**_own.get().about, **event}


def _allow_list(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in event.keys() - ALLOWED:
        event[key] = "(not on the allow-list)"
    return event


class _ToStructlog(logging.Handler):
    """Lines of libraries in our form: their message without extra fields, and the last place of an error."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower() if record.levelno >= logging.WARNING else "debug"
        fields: dict[str, Any] = {"logger": record.name}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["detail"] = raised(error)
        message = " ".join(record.getMessage().split())
        getattr(log(), level, log().warning)(message[:500], **fields)


def raised(error: BaseException) -> str:
    """An error's kind and text, and where it was raised: one line in place of a trace."""
    place = ""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is not None:
        code = frame.tb_frame.f_code
        place = f" at {'/'.join(code.co_filename.split('/')[-2:])}:{frame.tb_lineno}"
    return describe(error) + place


class Episode:
    """Something that fails for a while. ``failed`` is said once for each kind of detail, ``over`` when it has ended.

    Health reads it: ``count`` failures so far, ``since`` when (seconds of ``time.time()``), ``detail`` of the last
    failure.
    """

    def __init__(self, event: str, **told: Any) -> None:
        """``event`` is the line's text; ``told`` goes with each line, under names of the allow-list."""
        self.event = event
        self.told = told
        self.count = 0
        self.since: float | None = None
        self.detail = ""
        self._said: set[str] = set()

    @property
    def active(self) -> bool:
        """Whether it fails at present."""
        return self.count > 0

    @property
    def seconds(self) -> float:
        """For how long it has failed."""
        return 0.0 if self.since is None else time.time() - self.since

    def failed(self, detail: str, *, level: str = "warning") -> None:
        """It failed, for the first time or again; ``level`` is ``warning`` or ``error``."""
        if self.since is None:
            self.since = time.time()
        self.count += 1
        self.detail = detail
        kind = shape(detail)
        if kind in self._said or len(self._said) >= _MOST_DETAILS:
            return
        line = {"event": self.event, "detail": detail, **self.told}
        # What fails and recovers twice a second makes one kind of line, and no flood.
        if _writes(level, line):
            self._said.add(kind)
            _as_judged(level, line)

    def met(self, error: BaseException) -> None:
        """It failed with this error: a warning if the error is transient, else an error."""
        metrics.own().failures.labels(classify(error).value).inc()
        self.failed(describe(error), level="warning" if is_transient(error) else "error")

    def over(self) -> None:
        """It works again, or never failed."""
        if self.since is not None and self._said:
            seconds = round(time.time() - self.since, 1)
            log().info(f"{self.event}: over", count=self.count, seconds=seconds, **self.told)
        self.count, self.since, self.detail = 0, None, ""
        self._said.clear()


def _as_judged(level: str, line: dict[str, Any]) -> None:
    token = _judged.set(True)
    try:
        getattr(log(), level)(**line)
    finally:
        _judged.reset(token)


def begin(service: str) -> None:
    """Give the service that this context begins lines of its own, where several services run in one process."""
    _own.set(_Own())
    about(service=service)


def end() -> None:
    """Tell how often lines came that are still counted: the service ends."""
    _tell_ended(math.inf)


def form() -> tuple[list[Processor], logging.Handler]:
    """How a service's lines are made: processors of structlog, and the handler for lines of libraries."""
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _once,
        _with_about,
        _allow_list,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ], _ToStructlog()


def configure(level: str, service: str) -> None:
    """Set up structlog and the standard library's root logger for this process."""
    processors, handler = form()
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    about(service=service)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    atexit.register(end)


def about(**fields: object) -> None:
    """Fields that every line of this service carries from now on."""
    _own.get().about.update(fields)


def log() -> Logger:
    """The logger of the service that runs in this context."""
    logger: Logger = structlog.get_logger()
    return logger
