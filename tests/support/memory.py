"""A service's database in memory: rows, inbox, outbox, timers, what is set aside, parked subjects, stored offsets.

It stands behind the chassis' port (``services/chassis/storage.py``). A transaction that raises leaves nothing. What
only a database has is not here: two transactions at once, and constraints.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition

from services.chassis.inbox import Name
from services.chassis.outbox import OutboxRow
from services.chassis.service import Service, Store
from services.chassis.set_aside import Aside
from services.chassis.storage import Storage
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
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
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
        return next(self._numbers)

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

    async def begin(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offsets stored for a group; 0 where none was."""
        return {tp: self.consumed.setdefault((group, tp), 0) for tp in places}

    async def standing(self) -> list[tuple[int, OutboxRow]]:
        """The outbox, in order."""
        return [(id, row) for id, (_, row) in self.outbox.items()]

    async def forget(self, ids: Sequence[int]) -> None:
        """Remove rows of the outbox that were published."""
        for id in ids:
            del self.outbox[id]

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

    async def acquire(self) -> Memory:
        """As a pool."""
        return self

    async def release(self, _: Any) -> None:
        """As a pool."""


def in_memory(service: Service) -> tuple[Service, Memory]:
    """The service as it stands on memory, and its database."""
    memory = Memory(service.store)
    if service.paused_groups is None:
        return service, memory

    async def paused(_: Any) -> Collection[str]:
        return paused_groups(memory.rows)

    return replace(service, paused_groups=paused), memory
