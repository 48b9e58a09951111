"""Metrics of a service process; the only file that names the metrics library."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

__all__ = [
    "count",
    "exposition",
    "lag",
    "messages",
    "outbox_age",
    "outbox_rows",
    "overtaken",
    "relay_stuck",
    "relayed",
    "set_aside_rows",
    "traces_dropped",
]

messages = Counter("shuangcheng_messages_total", "Messages by what became of them", ["group", "outcome"])
batch_seconds = Histogram(
    "shuangcheng_batch_seconds",
    "Seconds from fetch to commit of one batch",
    ["group"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
traces_dropped = Counter(
    "shuangcheng_traceparents_dropped_total", "Messages whose traceparent could not be handed on", ["group"]
)
relay_stuck = Gauge("shuangcheng_relay_stuck", "Partitions that take no rows, or 1 for a missing topic", ["topic"])
relayed = Counter("shuangcheng_relayed_total", "Outbox rows acknowledged by the broker")
outbox_rows = Gauge("shuangcheng_outbox_rows", "Rows in the outbox")
outbox_age = Gauge("shuangcheng_outbox_oldest_seconds", "Age of the oldest row in the outbox")
set_aside_rows = Gauge("shuangcheng_set_aside_rows", "Messages set aside, by reason", ["reason"])
overtaken = Counter("shuangcheng_overtaken_total", "Batches decided again: another writer was there first", ["group"])
lag = Gauge("shuangcheng_lag_messages", "Messages in the log that are not applied yet", ["group"])


def count(group: str, records: int, applied: int, set_aside: int, seconds: float) -> None:
    """One batch that was committed."""
    batch_seconds.labels(group).observe(seconds)
    messages.labels(group, "applied").inc(applied)
    messages.labels(group, "set_aside").inc(set_aside)
    messages.labels(group, "duplicate").inc(records - applied - set_aside)


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)
