"""One service on PostgreSQL that is told of messages batch by batch: nothing moves but what a test moves."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from contracts.envelope import Event, decode
from contracts.messages import Message
from services.chassis.base.database import Connection
from services.chassis.batch.processing import Effects
from services.chassis.log.records import Record, unpack_headers
from tests.support.linkage import Member
from tests.support.linkages import given, postgres_linkage
from tests.support.on_postgres import on_postgres
from tests.support.unlocked import overtaken

__all__ = ["Instance", "messages_of"]


@dataclass(frozen=True)
class Instance:
    """One instance of the service, and its database."""

    member: Member
    dsn: str

    @classmethod
    async def of(cls, stack: AsyncExitStack, dsn: str, name: str, moment: datetime, **settings: Any) -> Self:
        """The only instance of this service, on a new database; the stack closes what is opened."""
        linkage = await postgres_linkage(stack, given(dsn), (name,), moment, **settings)
        return cls(linkage.members[name], dsn)

    async def another(self, stack: AsyncExitStack, number: int) -> Self:
        """One more instance on the same database. Each has topics of its own: so only locks keep the two apart, as a
        live batch and re-entry are kept apart."""
        first, log = self.member, self.member.log
        streams = []
        for stream in first.service.streams:
            topics = tuple(replace(entry, name=f"{entry.name}.{number}") for entry in stream.topics)
            log.entries.update((entry.name, entry) for entry in topics)
            streams.append(replace(stream, topics=topics))
        service = replace(first.service, streams=tuple(streams))
        base = await on_postgres(stack, service, self.dsn)
        member = Member(service, base, first.settings, log, first.clock)
        await member.start()
        return replace(self, member=member)

    @property
    def db(self) -> Connection:
        """The connection of its batches."""
        [lane] = self.member.lanes.values()
        return lane.connection

    def record(self, event: Event) -> Record:
        """The event on its topic."""
        topics = [entry for stream in self.member.service.streams for entry in stream.topics]
        [topic] = [entry.name for entry in topics if type(event.data) in entry.messages]
        return self.member.log.say(topic, event)

    async def take(self, *events: Event) -> Effects:
        """Decide these in one batch. Locks keep everybody else off it, or it would be decided again unseen."""
        before = overtaken()
        effects = await self.member.apply([self.record(event) for event in events])
        assert overtaken() == before
        return effects

    async def said(self) -> list[Message]:
        """What it has said since it was asked last; it is published now."""
        rows = await self.member.base.standing()
        await self.member.send(rows)
        return messages_of([row for _, row in rows])


def messages_of(rows: Any) -> list[Message]:
    """What rows of an outbox say."""
    return [decode(row.value, unpack_headers(row.headers)).data for row in rows]
