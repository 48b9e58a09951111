"""FastStream's broker, whose subscribers start side by side."""

from __future__ import annotations

import asyncio

from faststream.kafka import KafkaBroker

__all__ = ["Broker"]


class Broker(KafkaBroker):
    """Its ``start`` returns once all subscribers have joined their groups.

    FastStream's own starts a subscriber once the subscriber before it has joined. Kafka lets the first member of a
    group wait 3 s for others (``group.initial.rebalance.delay.ms``), so a service waited so long for each of its
    groups, and two lanes of one group made it rebalance twice.
    """

    async def start(self) -> None:
        """Connect, and start all subscribers. The first error ends the starts of the others, and is raised."""
        await self.connect()
        try:
            async with asyncio.TaskGroup() as group:
                for subscriber in self.subscribers:
                    group.create_task(subscriber.start())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.running = True
