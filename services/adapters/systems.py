"""What every kind of outside system can be asked, whatever its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from services.adapters.states import Credit, Notice, Outcome

__all__ = ["System", "SystemAway"]


class SystemAway(Exception):
    """The system did not take it, or nobody knows whether it did; telling again does no harm."""


class System(Protocol):
    """One registry's system. Calls never raise for what the other side does: that is an outcome."""

    async def post(self, credit: Credit) -> Outcome:
        """Ask it to post this credit."""
        ...

    async def ask(self, credit: Credit) -> Outcome:
        """Ask whether it posted this credit."""
        ...

    async def tell(self, notices: Sequence[Notice]) -> Mapping[UUID, str]:
        """Pass these on, in order; give those that it could not read, with what it said.

        Raises ``SystemAway``.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
