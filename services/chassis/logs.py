"""Structured logs: one JSON line each on standard output, keys from an allow-list so that no body slips in (I14)."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

__all__ = ["Logger", "configure", "log"]

Logger = FilteringBoundLogger

_ALLOWED: Final = frozenset(
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
        "due",
        "failpoint",
        "address",
        "path",
        "status",
        "method",
        "url",
        "exception",
        "logger",
        "registry",
        "kind",
        "transfers",
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


def _allow_list(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in event.keys() - _ALLOWED:
        event[key] = "(not on the allow-list)"
    return event


class _ToStructlog(logging.Handler):
    """Lines of libraries, in our form: their message only, never their extra fields."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower() if record.levelno >= logging.WARNING else "debug"
        getattr(log(), level, log().warning)(record.getMessage()[:500], logger=record.name)


def configure(level: str, service: str, instance: int) -> None:
    """Set up structlog and the standard library's root logger for this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _allow_list,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, instance=instance)
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)


def log() -> Logger:
    """The process's logger."""
    logger: Logger = structlog.get_logger()
    return logger
