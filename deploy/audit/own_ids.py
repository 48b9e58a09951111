"""The border's own ids for messages of registries: on inner topics they stand for what the registries call these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from contracts.messages.base import named_before
from contracts.topics import INNER
from deploy.audit.world import Line, World

__all__ = ["by_the_registrys_ids", "said_as"]


def said_as(world: World) -> dict[UUID, str]:
    """The border's own id for a message → the registry's id for it. Commands from before the border had such ids name
    the message by an id that follows from the registry's id alone."""
    inner = {entry.name for entry in INNER}
    before = {
        named_before(line.event.id): line.event.id
        for name, lines in world.lines.items()
        if name not in inner
        for line in lines
        if line.event is not None
    }
    rows = world.tables.get("bridge", {}).get("registry_message", ())
    return before | {row["id"]: row["message_id"] for row in rows}


def by_the_registrys_ids(world: World, said_as: Mapping[UUID, str]) -> World:
    """The same run, in which lines on inner topics name their cause by the registry's id, where the border kept it."""
    ids = {str(own): id_ for own, id_ in said_as.items()}

    def named(line: Line) -> Line:
        if line.event is None or (cause := ids.get(line.event.causation or "")) is None:
            return line
        return replace(line, event=replace(line.event, causation=cause))

    inner = {entry.name for entry in INNER}
    return replace(world, lines={name: [*map(named, x)] if name in inner else x for name, x in world.lines.items()})
