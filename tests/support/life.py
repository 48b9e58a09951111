"""What a database in memory knows of its own messages and of a later life, and the statements of a replay on it.

The chassis' own modules (``services/chassis/restoring``) run as in production. Each statement that they give to the
database is answered here by the function that says the same of rows in memory; another statement raises ``KeyError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import TopicPartition

from services.chassis.base import migrations
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.passed import Between
from services.chassis.batch.set_aside import Aside
from services.chassis.log import positions
from services.chassis.log.records import pack_headers
from services.chassis.outgoing import said, silent
from services.chassis.restoring import asides, looking, restored

__all__ = ["STATEMENTS", "Life", "row_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Life:
    """The tables of ``restoring``, by their keys."""

    said: dict[tuple[str, int], int] = field(default_factory=dict)
    since: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    passed: dict[tuple[str, int, int], Between] = field(default_factory=dict)
    begun: set[tuple[datetime, str, int, int]] = field(default_factory=set)
    restored: str | None = None

    def copy(self) -> Life:
        """As it is now."""
        since = {name: dict(row) for name, row in self.since.items()}
        return Life(dict(self.said), since, dict(self.passed), set(self.begun), self.restored)


def row_of(id: int, row: OutboxRow) -> dict[str, Any]:
    """A row of the outbox as a driver gives it."""
    return {"id": id, **row._asdict()}


def _row_of_aside(row: Aside) -> dict[str, Any]:
    record, names = row.record, ("reason", "received_at", "subject", "fact", "deadline", "detail", "seq", "brought_by")
    place = {name: getattr(record, name) for name in ("topic", "partition", "offset", "timestamp", "key", "value")}
    rest = {"headers": pack_headers(record.headers), "digest": None, "appended": record.appended, "attempts": row.tries}
    return place | rest | {name: getattr(row, name) for name in names} | {"own_right": row.own_right}


# -- whether it was restored -----------------------------------------------------------------------------------------


def _mark(db: Any, by: str) -> None:
    db.life.restored = db.life.restored or by


def _unmark(db: Any) -> None:
    db.life.restored = None


def _spoken(db: Any) -> list[tuple[str, int, int]]:
    return [(*place, end) for place, end in db.life.said.items()]


def _outbox_after(db: Any, after: int, limit: int) -> list[dict[str, Any]]:
    return [row_of(id, row) for id, (_, row) in db.outbox.items() if id > after][:limit]


# -- what was said ---------------------------------------------------------------------------------------------------


def _tell(db: Any, ids: Sequence[int], *columns: Sequence[Any]) -> None:
    _take_out(db, ids)
    _start_from(db, *columns)


def _take_out(db: Any, ids: Sequence[int]) -> None:
    for id in ids:
        db.outbox.pop(id, None)


def _start_from(db: Any, topics: Sequence[str], partitions: Sequence[int], ends: Sequence[int]) -> None:
    db.life.said.update(zip(zip(topics, partitions, strict=True), ends, strict=True))


def _begin(db: Any, topics: Sequence[str], partitions: Sequence[int], ends: Sequence[int]) -> None:
    for place, end in zip(zip(topics, partitions, strict=True), ends, strict=True):
        db.life.said.setdefault(place, end)


def _keep(db: Any, *columns: Sequence[Any]) -> None:
    for source, id, topic, partition, offset, digest, decided_at in zip(*columns, strict=True):
        row = {"source": source, "id": id, "digest": digest, "topic": topic, "partition": partition, "offset": offset}
        db.life.since.setdefault((source, id), row | {"decided_at": decided_at, "again": False})


def _moments(db: Any, source: str, ids: Sequence[str]) -> list[tuple[str, datetime]]:
    rows = [db.life.since.get((source, id)) for id in ids]
    return [(row["id"], row["decided_at"]) for row in rows if row is not None and row["decided_at"] is not None]


def _known(db: Any, sources: Sequence[str], ids: Sequence[str]) -> list[dict[str, Any]]:
    names = list(zip(sources, ids, strict=True))
    seen = [{"source": name[0], "id": name[1], "digest": db.inbox[name], "topic": "", "partition": -1, "offset": -1}
            for name in names if name in db.inbox]  # fmt: skip
    return [db.life.since[name] for name in names if name in db.life.since] + seen


def _counts(db: Any, reason: str) -> tuple[int, int, int]:
    again = sum(row["again"] for row in db.life.since.values())
    return len(db.life.since), again, sum(row.reason == reason for row in db.asides.values())


def _again(db: Any, sources: Sequence[str], ids: Sequence[str]) -> None:
    for name in zip(sources, ids, strict=True):
        if (row := db.life.since.get(name)) is not None:
            row["again"] = True


def _timers_after(db: Any, after: str, limit: int) -> list[dict[str, Any]]:
    names = sorted(name for name in db.timers if name > after)[:limit]
    return [{"name": name, **db.timers[name][1]._asdict()} for name in names]


def _drop_timers(db: Any, names: Sequence[str]) -> None:
    for name in names:
        db.timers.pop(name, None)


# -- what was passed in silence --------------------------------------------------------------------------------------


def _keep_passed(db: Any, *columns: Sequence[Any]) -> None:
    for topic, partition, end, after, before in zip(*columns, strict=True):
        _passed_by(db.life, (topic, partition, end), after, before)


def _passed_by(life: Life, place: tuple[str, int, int], after: datetime, before: datetime | None) -> None:
    kept = life.passed.get(place, Between(after, before))
    befores = [moment for moment in (before, kept.before) if moment is not None]
    life.passed[place] = Between(min(after, kept.after or after), min(befores, default=None))


def _keep_begun(db: Any, *columns: Sequence[Any]) -> None:
    db.life.begun.update(zip(*columns, strict=True))


def _ends(db: Any) -> None:
    life: Life = db.life
    moments = [row["decided_at"] for row in life.since.values() if row["decided_at"] is not None]
    for at, topic, partition, end in life.begun:
        last = max((moment for moment in moments if moment < at), default=_EPOCH)
        _passed_by(life, (topic, partition, end), last, at)


def _passed(db: Any, topic: str, partition: int, offsets: Sequence[int]) -> list[tuple[Any, ...]]:
    ends = sorted(end for name, number, end in db.life.passed if (name, number) == (topic, partition))
    found = [(offset, next((end for end in ends if end > offset), None)) for offset in offsets]
    return [(offset, *db.life.passed[topic, partition, end]) for offset, end in found if end is not None]


def _told(db: Any) -> tuple[datetime | None, datetime | None]:
    moments = (row["decided_at"] for row in db.life.since.values() if row["decided_at"] is not None)
    return min((one.after for one in db.life.passed.values()), default=None), max(moments, default=None)


# -- what is set aside -----------------------------------------------------------------------------------------------


def _new(db: Any, after: int, reasons: Sequence[str], topics: Sequence[str], limit: int) -> list[dict[str, Any]]:
    found = [row for row in db.in_line() if row.seq > after and row.reason in reasons and row.record.topic in topics]
    return [_row_of_aside(row) for row in found[:limit]]


def _ready(db: Any, topics: Sequence[str]) -> list[dict[str, Any]]:
    return [{"seq": row.seq} for row in db.in_line() if row.reason == "ready" and row.record.topic in topics]


def _queues(db: Any, sequences: Sequence[int], limit: int) -> list[dict[str, Any]]:
    subjects = {row.subject for row in db.in_line() if row.seq in sequences}
    return [_row_of_aside(row) for row in db.in_line() if row.subject in subjects][:limit]


# -- stored offsets --------------------------------------------------------------------------------------------------


def _enter_places(db: Any, group: str, topics: Sequence[str], partitions: Sequence[int], ats: Sequence[int]) -> None:
    for topic, partition, at in zip(topics, partitions, ats, strict=True):
        db.consumed.setdefault((group, TopicPartition(topic, partition)), at)


def _places(db: Any, group: str, topics: Sequence[str], partitions: Sequence[int]) -> list[dict[str, Any]]:
    ats = [(tp, db.consumed[group, tp]) for tp in map(TopicPartition, topics, partitions)]
    return [{"topic": tp.topic, "partition": tp.partition, "next_offset": at, "last_timestamp": None, "last_mark": None}
            for tp, at in ats]  # fmt: skip


STATEMENTS: Final[Mapping[str, Callable[..., Any]]] = {
    "SELECT pg_try_advisory_lock($1)": lambda db, _: True,
    looking._BY: lambda db: db.life.restored,
    looking._MARK: _mark,
    looking._SAID: _spoken,
    looking._BEGUN: lambda db: bool(db.consumed),
    looking._OUTBOX: lambda db: _outbox_after(db, 0, len(db.outbox)),
    restored._OUTBOX: _outbox_after,
    "DELETE FROM restored": _unmark,
    said._TELL: _tell,
    said._BEGIN: _begin,
    said._START_FROM: _start_from,
    said._KEEP: _keep,
    said._MOMENTS: _moments,
    said._KNOWN: _known,
    said._COUNTS: _counts,
    said._AGAIN: _again,
    said._SOME_OPEN: lambda db: not all(row["again"] for row in db.life.since.values()),
    said._TIMERS: _timers_after,
    "DELETE FROM outbox WHERE id = ANY($1)": _take_out,
    "DELETE FROM timer WHERE name = ANY($1)": _drop_timers,
    silent._KEEP_PASSED: _keep_passed,
    silent._KEEP_BEGUN: _keep_begun,
    silent._ENDS: _ends,
    silent._PASSED: _passed,
    silent._TOLD: _told,
    migrations._APPLIED_AT: lambda db, _: _EPOCH,
    asides._NEW: _new,
    asides._READY: _ready,
    asides._QUEUES: _queues,
    positions._ENTER_PLACES: _enter_places,
    positions._PLACES: _places,
}
