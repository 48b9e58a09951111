"""The chassis' port on a database in memory (``tests/support/memory.py``): each thing as its SQL says it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiokafka import TopicPartition

from services.chassis.base.database import Batch
from services.chassis.batch.inbox import Name, SeenBefore
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import Storage
from services.chassis.decisions import CancelTimer, States, Timer
from services.chassis.log.positions import FenceLost
from services.chassis.log.records import Record
from services.chassis.service import Store
from tests.support.rows_in_memory import RowsInMemory
from tests.support.said_by_sql import second_locks

__all__ = ["MEMORY", "InMemory"]


class InMemory:
    """Its functions, one for each of the port."""

    @staticmethod
    @asynccontextmanager
    async def transaction(db: Any) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            db.put_back()
            raise
        db.keep()

    @staticmethod
    async def takes_writes(_: Any) -> bool:
        return True

    @staticmethod
    async def advance(db: Any, group: str, last: Sequence[Record], expected: Sequence[int]) -> None:
        for record, offset in zip(last, expected, strict=True):
            place = group, TopicPartition(record.topic, record.partition)
            if db.consumed[place] != offset:
                raise FenceLost
            db.put(db.consumed, place, record.last + 1)

    @staticmethod
    async def enter(db: Any, seen: Mapping[Name, bytes], *, hopeful: bool) -> Mapping[Name, bytes]:
        known = {name: db.inbox[name] for name in seen if name in db.inbox}
        if known and hopeful:
            raise SeenBefore
        for name, digest in seen.items():
            if name not in known:
                db.put(db.inbox, name, digest)
        return known

    @staticmethod
    async def lock(db: Any, names: Sequence[str]) -> set[str]:
        return {name for name in names if name in db.parked}

    @staticmethod
    async def load(store: Store, batch: Batch, needs: Any) -> States:
        db: Any = batch.connection
        rows: RowsInMemory = db.rows
        await batch.lock(second_locks(store, needs, rows))
        return rows

    @staticmethod
    async def save(store: Store, db: Any, states: States) -> None:
        assert states is db.rows, "every change is in place already"

    @staticmethod
    async def append(db: Any, rows: Sequence[OutboxRow], origin: str | None) -> None:
        for row in rows:
            db.put(db.outbox, db.number(), (origin, row))

    @staticmethod
    async def set_timers(db: Any, timers: Sequence[tuple[Timer, OutboxRow]]) -> None:
        for timer, row in timers:
            db.put(db.timers, timer.name, (timer.due, row))

    @staticmethod
    async def cancel_timers(db: Any, timers: Sequence[CancelTimer]) -> None:
        for timer in timers:
            db.drop(db.timers, timer.name)

    @staticmethod
    async def backlog(db: Any, origin: str, limit: int) -> bool:
        return bool(sum(made == origin for made, _ in db.outbox.values()) > limit)

    @staticmethod
    async def insert(db: Any, rows: Sequence[Aside]) -> None:
        for row in rows:
            seq = db.number()
            db.put(db.asides, seq, replace(row, seq=seq))

    @staticmethod
    async def rewrite(db: Any, rows: Sequence[Aside]) -> None:
        for row in rows:
            changes = {name: getattr(row, name) for name in _REWRITTEN}
            db.put(db.asides, row.seq, replace(db.asides[row.seq], **changes))

    @staticmethod
    async def remove(db: Any, sequences: Sequence[int]) -> None:
        for seq in sequences:
            db.drop(db.asides, seq)

    @staticmethod
    async def park(db: Any, subjects: Iterable[str]) -> None:
        for subject in subjects:
            db.put(db.parked, subject, None)

    @staticmethod
    async def unpark(db: Any, subjects: Iterable[str]) -> None:
        first: dict[str | None, Aside] = {}
        for row in db.in_line():
            first.setdefault(row.subject, row)
        for subject in set(subjects):
            if (head := first.get(subject)) is None:
                db.drop(db.parked, subject)
            elif head.reason == "behind":
                db.put(db.asides, head.seq, replace(head, reason="ready"))

    @staticmethod
    async def make_ready(db: Any, facts: Iterable[str]) -> int:
        known = set(facts)
        found = [row for row in db.asides.values() if row.reason == "waiting" and row.fact in known]
        for row in found:
            ready = replace(row, reason="ready", fact=None, deadline=None, brought_by=None)
            db.put(db.asides, row.seq, ready)
        return len(found)

    @staticmethod
    async def first_deadlines(db: Any, topics: Sequence[str], now: datetime) -> list[tuple[str, str, datetime]]:
        first: dict[tuple[str, str], datetime] = {}
        for row in db.asides.values():
            if row.reason == "waiting" and row.record.topic in topics:
                place = row.record.topic, row.brought_by
                first[place] = min(row.deadline, first.get(place, row.deadline))
        return [(*place, deadline) for place, deadline in sorted(first.items()) if deadline <= now]

    @staticmethod
    async def ready_topics(db: Any, topics: Sequence[str]) -> set[str]:
        return {row.record.topic for row in db.asides.values() if row.reason == "ready"} & set(topics)

    @staticmethod
    async def rows_of(db: Any, topics: Sequence[str], heard: Mapping[str, datetime], limit: int) -> list[Aside]:
        line = db.in_line()
        counted: defaultdict[str, int] = defaultdict(int)
        chosen = set()
        for row in line:
            topic = row.record.topic
            if topic not in topics:
                continue
            if row.reason == "ready" and counted[topic] < limit:
                counted[topic] += 1
                chosen.add(row.subject)
            elif row.reason == "waiting" and row.brought_by in heard and row.deadline <= heard[row.brought_by]:
                chosen.add(row.subject)
        return [row for row in line if row.subject in chosen][: 2 * limit]

    @staticmethod
    async def still_first(db: Any, sequences: Sequence[int]) -> list[Aside]:
        line = db.in_line()
        first: dict[str | None, int] = {}
        for row in line:
            first.setdefault(row.subject, row.seq)
        asked = set(sequences)
        return [row for row in line if row.seq in asked and first[row.subject] in asked]

    @staticmethod
    async def one_at_a_time(_: Any) -> None:
        return None


_REWRITTEN: Final = ("reason", "fact", "deadline", "detail", "tries", "brought_by")
MEMORY: Final[Storage] = InMemory()
