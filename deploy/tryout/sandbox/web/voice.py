"""How a registry's pages speak to the linkage: within the transaction that writes the registry's own books."""

from __future__ import annotations

from typing import Protocol

from contracts.envelope import Event
from deploy.tryout.sandbox.database import Connection

__all__ = ["Voice"]


class Voice(Protocol):
    """A kind of registry's way to speak: Kafka's topics, or an interface that its adapter asks."""

    async def say(self, connection: Connection, event: Event) -> bool:
        """Enter this message of ours in the books and send it off, in the caller's transaction.

        The same id again does nothing. Gives whether the message is said for the first time.
        """
        ...

    def wake(self) -> None:
        """Say that a message was said and committed."""
        ...
