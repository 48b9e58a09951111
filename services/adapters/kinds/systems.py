"""The interface that every kind of outside system has, whatever its own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from services.adapters.states import Credit, Letter, Notice, Outcome

__all__ = ["NoticeOutcomes", "System", "SystemAway"]


class SystemAway(Exception):
    """The system takes nothing at the moment, and the same may be told again. ``seconds``: how long it asked to be left
    alone."""

    def __init__(self, detail: str, seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.seconds = seconds


@dataclass(slots=True)
class NoticeOutcomes:
    """The outcomes of notices: each notice is in one of these, or was not told."""

    taken: set[UUID] = field(default_factory=set)
    rejected: dict[UUID, str] = field(default_factory=dict)
    """The system says that it cannot read these, and why. They are never told again."""
    failed: dict[UUID, str] = field(default_factory=dict)
    """The system failed over each of these alone, and may have taken it. They are told again later, and no other notice
    of their keys before them."""


class System(Protocol):
    """One registry's system. ``post`` and ``ask`` never raise for faults of the other side: these are outcomes."""

    async def post(self, credit: Credit) -> Outcome:
        """Ask it to post this credit."""
        ...

    async def ask(self, credit: Credit) -> Outcome:
        """Ask whether it posted this credit."""
        ...

    async def tell(self, notices: Sequence[Notice]) -> NoticeOutcomes:
        """Pass these notices on, in the order of each key. Raises ``SystemAway`` where the system took nothing."""
        ...

    async def listen(self, after: int) -> Sequence[Letter]:
        """The letters after this number, in order. Returns at once, empty where there is none. Raises
        ``SystemAway``."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
