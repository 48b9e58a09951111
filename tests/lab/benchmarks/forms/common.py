"""What every form is told, and the topic it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contracts.topics import ATTENDANCE_COMMANDS, TopicEntry

__all__ = ["Order", "topic_of"]


@dataclass(frozen=True, slots=True)
class Order:
    """One run of one form: its own database and group, so that nothing of another run is there."""

    kafka: str
    database: str
    topic: str
    group: str
    events: int
    """In the whole topic."""
    lanes: int = 1
    """Of this process."""
    processes: int = 1
    instance: int = 0


def topic_of(name: str) -> TopicEntry:
    """The commands' entry under a name of the benchmark's own: partitions and messages are the contract's."""
    return replace(ATTENDANCE_COMMANDS, name=name)
