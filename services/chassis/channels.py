"""Names of channels: how the channels of a wait stand in ``set_aside``, and which partitions a name means."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.partitioner import partition_for
from services.chassis.decisions import Channel

__all__ = ["named", "places", "topics"]


def named(channels: Iterable[Channel]) -> str:
    """One text for these channels, whatever their order: ``topic`` or ``topic/partition``, with commas between."""
    return ",".join(sorted({_name(channel) for channel in channels}))


def _name(channel: Channel) -> str:
    entry = channel.topic
    return entry.name if channel.key is None else f"{entry.name}/{partition_for(channel.key, entry.partitions)}"


def places(channels: str) -> list[tuple[str, int | None]]:
    """Topic and partition of each of the channels so named; None for all partitions of the topic."""
    found = (name.partition("/") for name in channels.split(","))
    return [(topic, int(number) if number else None) for topic, _, number in found]


def topics(channels: str) -> set[str]:
    """The topics of the channels so named."""
    return {topic for topic, _ in places(channels)}
