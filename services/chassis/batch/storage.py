"""The port through which batches use a database: PostgreSQL in production, in tests also memory.

The modules that decide and write a batch (``processing``, ``live``, ``reentry``) ask nothing else of a database. ``db``
is a connection with one transaction at a time, and only the storage looks into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final, Protocol

from services.chassis.base import database
from services.chassis.base.database import Batch, Connection
from services.chassis.batch import inbox, outbox, set_aside
from services.chassis.batch.inbox import Name
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from services.chassis.decisions import CancelTimer, States, Timer
from services.chassis.log import positions
from services.chassis.log.records import Record
from services.chassis.service import Store

__all__ = ["POSTGRES", "Storage"]


class Storage(Protocol):
    """All run within a transaction of ``db``, except those that only read. Each is a constant number of statements."""

    def transaction(self, db: Connection) -> AbstractAsyncContextManager[None]:
        """One transaction, committed at the end; nothing of it is kept when something is raised."""

    async def takes_writes(self, db: Connection) -> bool:
        """Whether it takes another write, and commits it."""

    async def advance(self, db: Connection, group: str, last: Sequence[Record], expected: Sequence[int]) -> None:
        """Move each partition from ``expected`` to behind its ``last`` record. Raises ``FenceLost``."""

    async def enter(self, db: Connection, seen: Mapping[Name, bytes], *, hopeful: bool) -> Mapping[Name, bytes]:
        """Enter these messages into the inbox; gives those it knew. Raises ``SeenBefore`` if ``hopeful``."""

    async def lock(self, db: Connection, names: Sequence[str]) -> set[str]:
        """Lock these entities, made if missing, in the order given; give those that are parked."""

    async def load(self, store: Store, batch: Batch, needs: Any) -> States:
        """The states that a batch needs."""

    async def save(self, store: Store, db: Connection, states: States) -> None:
        """Save what was changed of them. Raises ``Overtaken``."""

    async def append(self, db: Connection, rows: Sequence[OutboxRow], origin: str | None) -> None:
        """Write rows to the outbox, in order."""

    async def set_timers(self, db: Connection, timers: Sequence[tuple[Timer, OutboxRow]]) -> None:
        """Set or replace timers by name."""

    async def cancel_timers(self, db: Connection, timers: Sequence[CancelTimer]) -> None:
        """Forget timers by name."""

    async def backlog(self, db: Connection, origin: str, limit: int) -> bool:
        """Whether more than ``limit`` rows of this origin stand in the outbox."""

    async def insert(self, db: Connection, rows: Sequence[Aside]) -> None:
        """Set messages aside, in order."""

    async def rewrite(self, db: Connection, rows: Sequence[Aside]) -> None:
        """Give rows that were decided again and stay set aside their new reason."""

    async def remove(self, db: Connection, sequences: Sequence[int]) -> None:
        """Delete rows that are applied."""

    async def park(self, db: Connection, subjects: Iterable[str]) -> None:
        """Later messages of these subjects go behind."""

    async def unpark(self, db: Connection, subjects: Iterable[str]) -> None:
        """Open subjects of which no message is set aside any more; of the others the first message becomes ready."""

    async def make_ready(self, db: Connection, facts: Iterable[str]) -> int:
        """Make ready the messages that wait for these facts; gives how many."""

    async def first_deadlines(
        self, db: Connection, topics: Sequence[str], now: datetime
    ) -> list[tuple[str, str, datetime]]:
        """Topic, channels and earliest deadline that has passed, of what waits by the same channels."""

    async def ready_topics(self, db: Connection, topics: Sequence[str]) -> set[str]:
        """The topics, of those given, of which a message is ready."""

    async def rows_of(
        self, db: Connection, topics: Sequence[str], heard: Mapping[str, datetime], limit: int
    ) -> list[Aside]:
        """Rows of subjects of which one is ready or has waited long enough, with all rows of the subject."""

    async def still_first(self, db: Connection, sequences: Sequence[int]) -> list[Aside]:
        """The rows, of those given, that still stand and have the first row of their subject among them; in order."""

    async def one_at_a_time(self, db: Connection) -> None:
        """Keep everybody else from deciding what is set aside until this transaction ends."""


class _Postgres:
    """The functions themselves: a call through the port is a call of the function, with nothing in between."""

    transaction = staticmethod(database.transaction)
    takes_writes = staticmethod(database.takes_writes)
    advance = staticmethod(positions.advance)
    enter = staticmethod(inbox.enter)
    lock = staticmethod(database.lock)
    append = staticmethod(outbox.append)
    set_timers = staticmethod(outbox.set_timers)
    cancel_timers = staticmethod(outbox.cancel_timers)
    backlog = staticmethod(outbox.backlog)
    insert = staticmethod(set_aside.insert)
    rewrite = staticmethod(set_aside.rewrite)
    remove = staticmethod(set_aside.remove)
    park = staticmethod(set_aside.park)
    unpark = staticmethod(set_aside.unpark)
    make_ready = staticmethod(set_aside.make_ready)
    first_deadlines = staticmethod(set_aside.first_deadlines)
    ready_topics = staticmethod(set_aside.ready_topics)
    rows_of = staticmethod(set_aside.rows_of)
    still_first = staticmethod(set_aside.still_first)
    one_at_a_time = staticmethod(database.one_at_a_time)

    @staticmethod
    async def load(store: Store, batch: Batch, needs: Any) -> States:
        states = States()
        for table in store.tables:
            table.declare(states)
        await store.load(batch, needs, states)
        return states

    @staticmethod
    async def save(store: Store, db: Connection, states: States) -> None:
        for table in store.tables:
            await table.save(db, states)


POSTGRES: Final[Storage] = _Postgres()
