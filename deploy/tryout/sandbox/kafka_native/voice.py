"""Messages of the pages go out through the same outbox as receipts, together with their entries in the books."""

from __future__ import annotations

from contracts.envelope import Event
from contracts.topics import registry_topic_for
from deploy.tryout.sandbox import books
from deploy.tryout.sandbox.database import Connection
from deploy.tryout.sandbox.kafka_native.letters import letter
from deploy.tryout.sandbox.kafka_native.receipts import Publisher, enqueue

__all__ = ["OutboxVoice"]


class OutboxVoice:
    """Speaks on the registry's own topics. The reader meets these messages again later; their entries are made here."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def say(self, connection: Connection, event: Event) -> bool:
        """See ``Voice``."""
        if not await books.keep(connection, [letter(event, own=True)]):
            return False
        topic = registry_topic_for(event.source, type(event.data))
        if topic is None:
            raise ValueError(f"{event.type} does not travel on a registry's own topics")
        await enqueue(connection, topic, [event])
        return True

    def wake(self) -> None:
        """See ``Voice``."""
        self._publisher.wake()
