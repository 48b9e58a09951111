"""Ways to spoil a snapshot, one fault at a time: drop, duplicate, swap or alter a row or a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import uuid_utils

from contracts.envelope import Event, encode
from contracts.messages import Message
from contracts.messages.deliveries import SignupChanged
from contracts.messages.service import ServiceRecord
from contracts.partitioner import partition_for
from deploy.audit.world import Line, Row, Topics, World, line

__all__ = ["Tamper", "first_of"]


class Tamper:
    """A copy of a snapshot, to be spoiled. ``find`` and ``row`` raise if nothing fits, since the fault must happen."""

    def __init__(self, recorded: World) -> None:
        self.world = World(
            recorded.registries,
            {topic: list(lines) for topic, lines in recorded.lines.items()},
            {name: _rows(tables) for name, tables in recorded.tables.items()},
            _rows(recorded.served),
            _rows(recorded.credits),
        )
        self._topics = Topics(self.world.registries)

    def all(self, kind: type[Message], where: Callable[[Any], bool] = lambda data: True) -> list[Line]:
        """The messages of this type for which ``where`` holds."""
        lines = [x for of_topic in self.world.lines.values() for x in of_topic]
        return [x for x in lines if x.event and isinstance(x.data, kind) and where(x.data)]

    def find(self, kind: type[Message], nth: int = 0, *, where: Callable[[Any], bool] = lambda data: True) -> Line:
        """The nth of these messages; -1 is the last."""
        return self.all(kind, where)[nth]

    def effects(self, cause: Line, kind: type[Message]) -> list[Line]:
        """The messages of this type that name this message as their cause."""
        return [x for x in self.all(kind) if x.event is not None and x.event.causation == cause.id]

    def row(self, database: str, table: str, **values: Any) -> Row:
        """The first row with these values; ``served`` and ``credits`` stand for the audit views of a registry."""
        return next(r for r in self.rows(database, table) if all(r[name] == v for name, v in values.items()))

    def rows(self, database: str, table: str) -> list[Row]:
        """All rows of a table or audit view."""
        audits = {"served": self.world.served, "credits": self.world.credits}
        return audits[table][database] if table in audits else self.world.tables[database][table]

    def person(self, registry: str, ref: str) -> UUID:
        """The person of a ref, as the border keeps it."""
        found: UUID = self.row("bridge", "account", registry=registry, ref=ref)["person"]
        return found

    def drop_row(self, database: str, table: str, **values: Any) -> Row:
        """Delete a row. Gives it."""
        gone = self.row(database, table, **values)
        self.rows(database, table).remove(gone)
        return gone

    def copy_row(self, database: str, table: str, *, of: Row, **changes: Any) -> Row:
        """Copy a row. Gives the copy."""
        self.rows(database, table).append({**of, **changes})
        return self.rows(database, table)[-1]

    def drop(self, *lines: Line) -> None:
        """Remove messages, as if they had never been published: nobody has seen them."""
        ids = {(gone.event.source, gone.id) for gone in lines if gone.event is not None}
        for gone in lines:
            self.world.lines[gone.topic].remove(gone)
        for tables in self.world.tables.values():
            tables["inbox"] = [r for r in tables["inbox"] if (r["source"], r["id"]) not in ids]

    def unread(self, database: str, topic: str) -> list[Line]:
        """Make it as if this service had never read the topic. Gives the messages of the topic."""
        lines, tables = self.world.lines[topic], self.world.tables[database]
        ids = {(x.event.source, x.id) for x in lines if x.event is not None}
        tables["consumed"] = [r for r in tables["consumed"] if r["topic"] != topic]
        tables["inbox"] = [r for r in tables["inbox"] if (r["source"], r["id"]) not in ids]
        return lines

    def alter(
        self, old: Line, *, id: str | None = None, cause: str | None = None, behind: Line | None = None, **changes: Any
    ) -> Line:
        """Give a message another content, id or cause, in the same place. ``behind``: it was decided right after this
        other message."""
        assert old.event is not None
        data = old.data.model_copy(update=changes)
        event = replace(old.event, id=id or old.id, causation=cause or old.event.causation, data=data)
        new = self._line(event, old.topic, old.partition, old.offset, old.timestamp)
        decided = [(name, told) for name, told in (behind or old).headers if name == "ce_decidedat"]
        if behind is not None:
            decided = [(name, str(int(told) + 1).encode()) for name, told in decided]
        new = replace(new, headers=[*new.headers, *decided])
        lines = self.world.lines[old.topic]
        lines[lines.index(old)] = new
        return new

    def retell(self, fact: Line, **changes: Any) -> Line:
        """Change an event about a sign-up, and all messages that tell of it."""
        for told in self.effects(fact, SignupChanged):
            self.alter(told, **changes)
        return self.alter(fact, **changes)

    def add(
        self,
        like: Line,
        *,
        id: str | None = None,
        topic: str | None = None,
        astray: bool = False,
        seen: bool = True,
        **changes: Any,
    ) -> Line:
        """Add a copy of a message at the end of a partition, under a new id. ``seen``: each reader has taken it in.
        ``astray``: the partition is not that of its key."""
        assert like.event is not None
        data = like.data.model_copy(update=changes)
        event = replace(like.event, id=id or str(uuid_utils.uuid7()), data=data)
        topic = topic or like.topic
        count = self._topics.entries[topic].partitions
        where = (partition_for(event.key, count) + astray) % count
        offset = max((x.offset for x in self.world.lines[topic] if x.partition == where), default=-1) + 1
        new = self._line(event, topic, where, offset, like.timestamp)
        self.world.lines[topic].append(new)
        self.world.lines[topic].sort(key=lambda x: (x.partition, x.offset))
        for tables in self.world.tables.values():
            for row in tables["consumed"]:
                if (row["topic"], row["partition"]) == (topic, where):
                    row["next_offset"] = offset + 1
                    if seen and not astray and event.id != like.id:
                        tables["inbox"].append({**tables["inbox"][0], "source": event.source, "id": event.id})
        return new

    def swap(self, one: Line, other: Line) -> tuple[Line, Line]:
        """Swap two messages of a partition. Gives the new first and the new second message."""
        assert (one.topic, one.partition) == (other.topic, other.partition)
        lines = self.world.lines[one.topic]
        at_one, at_other = lines.index(one), lines.index(other)
        first = replace(other, offset=one.offset, timestamp=one.timestamp)
        second = replace(one, offset=other.offset, timestamp=other.timestamp)
        lines[at_one], lines[at_other] = first, second
        return first, second

    def replace_bytes(self, old: Line, value: bytes) -> Line:
        """Put other bytes in the place of a message."""
        new = line(self._topics, *old.place, old.timestamp, old.key, old.headers, value)
        lines = self.world.lines[old.topic]
        lines[lines.index(old)] = new
        return new

    def reword(self, ref: str, version: int, **changes: Any) -> None:
        """Change one version of a service record, in all messages and rows that have it."""
        for topic in list(self.world.lines):
            for x in [x for x in self.world.lines[topic] if x.event is not None]:
                inner = getattr(x.data, "record", None)
                if isinstance(x.data, ServiceRecord) and (x.data.record_ref, x.data.version) == (ref, version):
                    self.alter(x, **changes)
                elif inner is not None and (inner.record_ref, inner.version) == (ref, version):
                    self.alter(x, record=inner.model_copy(update=changes))
        kept = self.row("attendance", "service_record", record_ref=ref)
        record = ServiceRecord.model_validate_json(kept["body"]).model_copy(update=changes)
        kept |= {"body": record.model_dump_json(), "counted_from": record.started_at, "counted_to": record.ended_at}
        self.row("bridge", "service_record", record_ref=ref)["record"] = record.model_dump(mode="json")

    def anyone(self) -> UUID:
        """An id that is nowhere else."""
        return uuid4()

    def _line(self, event: Event, topic: str, partition: int, offset: int, timestamp: int) -> Line:
        value, headers = encode(event)
        new = line(self._topics, topic, partition, offset, timestamp, event.key.encode(), headers, value)
        assert new.fault in (None, "wrong_partition"), new.said
        return new


def first_of(lines: Iterable[Line]) -> Line:
    """The message that was published first."""
    return min(lines, key=lambda x: (x.timestamp, *x.place))


def _rows(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {name: [dict(row) for row in rows] for name, rows in tables.items()}
