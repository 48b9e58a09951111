"""A service's database in memory: rows, inbox, outbox, timers, what is set aside, parked subjects, stored offsets.

It stands behind the chassis' port (``services/chassis/batch/storage.py``). A transaction that raises leaves nothing.
Not here is what only a database has: two transactions at once, and constraints.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition

from services.chassis.batch.inbox import Name
from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import Storage
from services.chassis.service import Service, Store
from tests.support.life import STATEMENTS, Life
from tests.support.memory_storage import MEMORY
from tests.support.rows_in_memory import RowsInMemory
from tests.support.said_by_sql import paused_groups

__all__ = ["Memory", "in_memory"]

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
_NOTHING: Final = object()


@dataclass(slots=True)
class Memory:
    """One database. It is its own connection and its own pool: there is one transaction at a time."""

    store: Store
    rows: RowsInMemory = field(init=False)
    consumed: dict[tuple[str, TopicPartition], int] = field(default_factory=dict)
    inbox: dict[Name, bytes] = field(default_factory=dict)
    parked: dict[str, None] = field(default_factory=dict)
    outbox: dict[int, tuple[str | None, OutboxRow]] = field(default_factory=dict)
    timers: dict[str, tuple[datetime, OutboxRow]] = field(default_factory=dict)
    asides: dict[int, Aside] = field(default_factory=dict)
    life: Life = field(default_factory=Life)
    _number: int = 0
    _before: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = RowsInMemory(self.store)

    def put(self, held: dict[K, V], key: K, value: V) -> None:
        """Within a transaction."""
        self._before.append((held, key, held.get(key, _NOTHING)))
        held[key] = value

    def drop(self, held: dict[K, Any], key: K) -> None:
        """Within a transaction."""
        if key in held:
            self._before.append((held, key, held.pop(key)))

    def number(self) -> int:
        """The next of a sequence; like a sequence, it leaves gaps."""
        self._number += 1
        return self._number

    def keep(self) -> None:
        """Commit."""
        self._before.clear()
        self.rows.keep()

    def put_back(self) -> None:
        """Roll back."""
        for held, key, old in reversed(self._before):
            if old is _NOTHING:
                held.pop(key, None)
            else:
                held[key] = old
        self._before.clear()
        self.rows.put_back()

    def in_line(self) -> list[Aside]:
        """What is set aside, in order."""
        return [self.asides[seq] for seq in sorted(self.asides)]

    @property
    def storage(self) -> Storage:
        """How the chassis works on it."""
        return MEMORY

    @property
    def pool(self) -> Any:
        """Itself."""
        return self

    async def session(self, _: str) -> Any:
        """Itself."""
        return self

    async def new_session(self) -> Any:
        """Itself."""
        return self

    async def begin(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offsets stored for a group; 0 where none was."""
        return {tp: self.consumed.setdefault((group, tp), 0) for tp in places}

    async def standing(self) -> list[tuple[int, OutboxRow]]:
        """The outbox, in order."""
        return [(id, row) for id, (_, row) in self.outbox.items()]

    async def fire(self, now: datetime) -> int:
        """Move due timers to the outbox; gives how many."""
        fired = sorted((due, name) for name, (due, _) in self.timers.items() if due <= now)
        for _, name in fired:
            self.outbox[self.number()] = None, self.timers.pop(name)[1]
        return len(fired)

    async def due(self) -> dict[str, datetime]:
        """The timers that stand, by name."""
        return {name: due for name, (due, _) in self.timers.items()}

    async def set_aside(self) -> list[Aside]:
        """What is set aside, in order."""
        return self.in_line()

    async def all_of(self, kind: type[R]) -> list[R]:
        """Every row of a type."""
        return self.rows.all_of(kind)

    def acquire(self) -> _Acquired:
        """As a pool."""
        return _Acquired(self)

    async def release(self, _: Any) -> None:
        """As a pool."""

    # -- as a connection -------------------------------------------------------------------------------------------

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        """What this statement of a replay gives."""
        return STATEMENTS[statement](self, *arguments)

    fetchval = fetchrow = execute = fetch

    async def cursor(self, statement: str, **_: Any) -> AsyncIterator[Any]:
        """Its rows, one after the other."""
        for row in await self.fetch(statement):
            yield row

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[None]:
        """One transaction."""
        async with self.storage.transaction(self.pool):
            yield

    def is_closed(self) -> bool:
        """It never is."""
        return False

    def terminate(self) -> None:
        """It goes on: there is one connection."""

    # -- dumps -----------------------------------------------------------------------------------------------------

    async def dump(self) -> Memory:
        """A copy of all tables."""
        copy = Memory(self.store)
        await copy.restore(self)
        return copy

    async def restore(self, dump: Memory) -> None:
        """Have all tables as they were in that copy."""
        self.rows = dump.rows.copy()
        for name in _TABLES:
            setattr(self, name, dict(getattr(dump, name)))
        self.life = dump.life.copy()
        self._number = dump._number


_TABLES: Final = ("consumed", "inbox", "parked", "outbox", "timers", "asides")


class _Acquired:
    """What a pool gives: to be awaited, or a context."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __await__(self) -> Generator[Any, Any, Memory]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Memory:
        return self._memory

    async def __aexit__(self, *_: object) -> None:
        return None


def in_memory(service: Service) -> tuple[Service, Memory]:
    """The service as it stands on memory, and its database."""
    memory = Memory(service.store)
    if service.paused_groups is None:
        return service, memory

    async def paused(_: Any) -> Collection[str]:
        return paused_groups(memory.rows)

    return replace(service, paused_groups=paused), memory
