"""Metrics of a service process; the only file that names the metrics library.

Events are counted here. The present state (lag, rows, ages, troubles) is read at each scrape by ``health.py``, since a
gauge that somebody has to set shows an old state. The only such gauge is ``relay_stuck``: ``stuck.py`` sets it at each
change.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

__all__ = ["Figure", "Metrics", "begin", "count", "exposition", "own"]


class Metrics:
    """The counters of one service, apart from those of any other."""

    def __init__(self) -> None:
        self.kept = kept = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=kept)
        self.messages = Counter(
            "shuangcheng_messages_total", "Messages by what became of them", ["group", "outcome"], registry=kept
        )
        self.batch_seconds = Histogram(
            "shuangcheng_batch_seconds",
            "Seconds from fetch to commit of one batch",
            ["group"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=kept,
        )
        self.traces_dropped = Counter(
            "shuangcheng_traceparents_dropped_total",
            "Messages whose traceparent could not be handed on",
            ["group"],
            registry=kept,
        )
        self.relay_stuck = Gauge(
            "shuangcheng_relay_stuck",
            "Partitions that take no rows, or 1 for a missing topic",
            ["topic"],
            registry=kept,
        )
        self.relayed = Counter("shuangcheng_relayed_total", "Outbox rows acknowledged by the broker", registry=kept)
        self.overtaken = Counter(
            "shuangcheng_overtaken_total",
            "Batches decided again: another writer was there first",
            ["group"],
            registry=kept,
        )
        self.job_portions = Counter(
            "shuangcheng_job_portions_total", "Portions of jobs that were done", ["job"], registry=kept
        )
        self.failures = Counter(
            "shuangcheng_failures_total",
            "What kept a part of the service from moving, by class",
            ["class"],
            registry=kept,
        )


_of_the_process: Final = Metrics()
_own: ContextVar[Metrics] = ContextVar("metrics", default=_of_the_process)

_HELP: Final = {
    "ready": "1 while the service can do its work",
    "database_answers": "1 while the database answers",
    "broker_answers": "1 while the broker answers",
    "lag_messages": "Messages in the log that are not applied yet",
    "stands_seconds": "Seconds for which a part of the service has not moved though it should; 0 while it moves",
    "outbox_rows": "Rows in the outbox",
    "outbox_oldest_seconds": "Age of the oldest row in the outbox",
    "job_late_seconds": "Seconds since a job was due that is not done yet; 0 while it is to come",
    "set_aside_rows": "Messages set aside, by reason",
}


class Figure(NamedTuple):
    """A value of this moment. ``about`` are its labels; figures of one name have the same labels."""

    name: str
    value: float
    about: tuple[tuple[str, str], ...] = ()
    help: str = ""


def begin() -> None:
    """Give the service that this context begins counters of its own, where several services run in one process."""
    _own.set(Metrics())


def own() -> Metrics:
    """The counters of the service that runs in this context."""
    return _own.get()


def count(group: str, records: int, applied: int, set_aside: int, seconds: float) -> None:
    """One batch that was committed."""
    metrics = own()
    metrics.batch_seconds.labels(group).observe(seconds)
    metrics.messages.labels(group, "applied").inc(applied)
    metrics.messages.labels(group, "set_aside").inc(set_aside)
    metrics.messages.labels(group, "duplicate").inc(records - applied - set_aside)


def exposition(figures: Iterable[Figure]) -> bytes:
    """All counters and these figures, in the Prometheus text format."""
    read_now = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for name, value, about, text in figures:
        labels = dict(about)
        if name not in gauges:
            gauges[name] = Gauge(f"shuangcheng_{name}", text or _HELP[name], list(labels), registry=read_now)
        (gauges[name].labels(**labels) if labels else gauges[name]).set(value)
    return generate_latest(own().kept) + generate_latest(read_now)
