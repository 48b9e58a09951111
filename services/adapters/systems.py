"""What every kind of outside system can be asked, whatever its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from services.adapters.states import Credit, Notice, Outcome, Said

__all__ = ["System", "SystemAway", "Told"]


class SystemAway(Exception):
    """The system takes nothing at the moment; telling again does no harm. It asked for so many ``seconds``."""

    def __init__(self, detail: str, seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.seconds = seconds


@dataclass(slots=True)
class Told:
    """What came of telling: each notice stands in one of these, or was not told."""

    taken: set[UUID] = field(default_factory=set)
    rejected: dict[UUID, str] = field(default_factory=dict)
    """It says that it cannot read these: never told again."""
    failed: dict[UUID, str] = field(default_factory=dict)
    """It fails over these alone, and may have taken them: told again later, and until then nothing of their keys."""


class System(Protocol):
    """One registry's system. Calls never raise for what the other side does: that is an outcome."""

    async def post(self, credit: Credit) -> Outcome:
        """Ask it to post this credit."""
        ...

    async def ask(self, credit: Credit) -> Outcome:
        """Ask whether it posted this credit."""
        ...

    async def tell(self, notices: Sequence[Notice]) -> Told:
        """Pass these on, in the order of each key.

        Raises ``SystemAway`` when it took nothing.
        """
        ...

    async def listen(self, after: int) -> Sequence[Said]:
        """What people did there, behind this number, in order; at once, and empty where there is nothing.

        Raises ``SystemAway``.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
