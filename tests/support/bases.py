"""What a linkage needs of a service's database: in memory (``memory.py``) and on PostgreSQL (``on_postgres.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from aiokafka import TopicPartition

from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import Storage

__all__ = ["Base"]

T = TypeVar("T")


class Base(Protocol):
    """The database of one service, for who looks into it from outside of a batch."""

    @property
    def storage(self) -> Storage:
        """How the chassis works on it."""

    @property
    def pool(self) -> Any:
        """For re-entry."""

    async def session(self, group: str) -> Any:
        """For batches: each group has a connection of its own, so that two groups' batches can run at once."""

    async def new_session(self) -> Any:
        """A connection for the batches of a replay, which ends it."""

    async def dump(self) -> Any:
        """A copy of all tables."""

    async def restore(self, dump: Any) -> None:
        """Have all tables as they were in that copy."""

    async def begin(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offsets stored for a group; 0 where none was."""

    async def standing(self) -> list[tuple[int, OutboxRow]]:
        """The outbox, in order."""

    async def fire(self, now: datetime) -> int:
        """Move due timers to the outbox; gives how many."""

    async def due(self) -> dict[str, datetime]:
        """The timers that stand, by name."""

    async def set_aside(self) -> list[Aside]:
        """What is set aside, in order."""

    async def all_of(self, kind: type[T]) -> list[T]:
        """Every row of a type."""
