"""The shape of an entry in the catalogue of topics (``topics.py``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from contracts.limits import MAX_BATCH_BYTES
from contracts.messages.base import Message

__all__ = ["Leg", "TopicEntry"]


@dataclass(frozen=True, slots=True)
class Leg:
    """Messages that travel on one topic in one step of the journey.

    ``sender`` is empty where it is the topic's writer; else a home or a host, or a service that tells itself (a timer).
    """

    step: int
    messages: tuple[type[Message], ...]
    sender: str = ""


@dataclass(frozen=True, slots=True)
class TopicEntry:
    """A topic. ``name`` may hold ``{registry}``; ``retention_ms`` of None keeps for ever.

    ``max_message_bytes`` is Kafka's ``max.message.bytes``: it bounds a batch as it travels. With ``log_time`` a record
    has the time of its arrival (``message.timestamp.type=LogAppendTime``), since its writer has another clock.
    """

    name: str
    key: str
    writer: str
    readers: tuple[str, ...]
    legs: tuple[Leg, ...]
    meaning: str
    partitions: int = 8
    ordered: bool = True
    retention_ms: int | None = None
    personal_data: bool = False
    max_message_bytes: int = MAX_BATCH_BYTES
    log_time: bool = False
    messages: tuple[type[Message], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(message for leg in self.legs for message in leg.messages))

    @property
    def outer(self) -> bool:
        """Whether a registry writes or reads it."""
        return "registry" in (self.writer, *self.readers)

    def of(self, registry: str) -> TopicEntry:
        """The entry for one registry's seat."""
        return replace(self, name=self.name.format(registry=registry))
