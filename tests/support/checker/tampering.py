"""Ways to tamper with a snapshot, one fault at a time: drop, duplicate, swap, alter a row or a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import uuid_utils

from contracts.envelope import Event, encode
from contracts.messages import Message
from contracts.messages.service import ServiceRecord
from tests.support.checker.world import Line, Row, Topics, World, line

__all__ = ["Tamper"]


class Tamper:
    """A snapshot of its own, to be spoiled. ``find`` and ``row`` fail where nothing fits: a fault must happen."""

    def __init__(self, recorded: World) -> None:
        self.world = World(
            recorded.registries,
            {topic: list(lines) for topic, lines in recorded.lines.items()},
            {name: _rows(tables) for name, tables in recorded.tables.items()},
            _rows(recorded.served),
            _rows(recorded.credits),
        )
        self._topics = Topics(self.world.registries)

    def find(self, kind: type[Message], nth: int = 0, *, where: Callable[[Any], bool] = lambda data: True) -> Line:
        """The nth message of this type for which ``where`` holds; the last with -1."""
        found = [x for lines in self.world.lines.values() for x in lines if x.event and isinstance(x.data, kind)]
        return [x for x in found if where(x.data)][nth]

    def row(self, database: str, table: str, **values: Any) -> Row:
        """The first row with these values; ``served`` and ``credits`` stand for the audit views of a registry."""
        return next(r for r in self.rows(database, table) if all(r[name] == v for name, v in values.items()))

    def rows(self, database: str, table: str) -> list[Row]:
        """All rows of a table or audit view."""
        audits = {"served": self.world.served, "credits": self.world.credits}
        return audits[table][database] if table in audits else self.world.tables[database][table]

    def drop_row(self, database: str, table: str, **values: Any) -> None:
        """A row is lost."""
        self.rows(database, table).remove(self.row(database, table, **values))

    def copy_row(self, database: str, table: str, *, of: Row, **changes: Any) -> None:
        """A row too many."""
        self.rows(database, table).append({**of, **changes})

    def drop(self, gone: Line) -> None:
        """A message as if it had never been published: nobody has seen it."""
        self.world.lines[gone.topic].remove(gone)
        assert gone.event is not None
        for tables in self.world.tables.values():
            tables["inbox"] = [r for r in tables["inbox"] if (r["source"], r["id"]) != (gone.event.source, gone.id)]

    def alter(self, old: Line, *, id: str | None = None, cause: str | None = None, **changes: Any) -> Line:
        """A message says something else, or has another id or cause, in the same place."""
        assert old.event is not None
        data = old.data.model_copy(update=changes)
        event = replace(old.event, id=id or old.id, causation=cause or old.event.causation, data=data)
        new = self._line(event, old.topic, old.partition, old.offset, old.timestamp)
        lines = self.world.lines[old.topic]
        lines[lines.index(old)] = new
        return new

    def add(self, like: Line, *, id: str | None = None, partition: int | None = None, seen: bool = True) -> Line:
        """Once more at the end of a partition, under a new id; ``seen``: every reader has taken it in."""
        assert like.event is not None
        event = replace(like.event, id=id or str(uuid_utils.uuid7()))
        where = like.partition if partition is None else partition
        offset = max((x.offset for x in self.world.lines[like.topic] if x.partition == where), default=-1) + 1
        new = self._line(event, like.topic, where, offset, like.timestamp)
        self.world.lines[like.topic].append(new)
        self._sort(like.topic)
        for tables in self.world.tables.values():
            for row in tables["consumed"]:
                if (row["topic"], row["partition"]) == (like.topic, where):
                    row["next_offset"] = offset + 1
                    if seen and event.id != like.id:
                        tables["inbox"].append({**tables["inbox"][0], "source": event.source, "id": event.id})
        return new

    def swap(self, one: Line, other: Line) -> None:
        """Two messages of a partition change places."""
        assert (one.topic, one.partition) == (other.topic, other.partition)
        lines = self.world.lines[one.topic]
        at_one, at_other = lines.index(one), lines.index(other)
        lines[at_one], lines[at_other] = replace(other, offset=one.offset), replace(one, offset=other.offset)

    def replace_bytes(self, old: Line, value: bytes) -> None:
        """Other bytes in the place of a message."""
        new = line(self._topics, *old.place, old.timestamp, old.key, old.headers, value)
        lines = self.world.lines[old.topic]
        lines[lines.index(old)] = new

    def reword(self, ref: str, version: int, **changes: Any) -> None:
        """One version of a service record says something else, wherever anyone speaks of it."""
        for topic in list(self.world.lines):
            for x in [x for x in self.world.lines[topic] if x.event is not None]:
                inner = getattr(x.data, "record", None)
                if isinstance(x.data, ServiceRecord) and (x.data.record_ref, x.data.version) == (ref, version):
                    self.alter(x, **changes)
                elif inner is not None and (inner.record_ref, inner.version) == (ref, version):
                    self.alter(x, record=inner.model_copy(update=changes))

    def anyone(self) -> UUID:
        """An id that stands nowhere."""
        return uuid4()

    def _line(self, event: Event, topic: str, partition: int, offset: int, timestamp: int) -> Line:
        value, headers = encode(event)
        new = line(self._topics, topic, partition, offset, timestamp, event.key.encode(), headers, value)
        assert new.event is not None, new.said
        return new

    def _sort(self, topic: str) -> None:
        self.world.lines[topic].sort(key=lambda x: (x.partition, x.offset))


def _rows(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {name: [dict(row) for row in rows] for name, rows in tables.items()}
