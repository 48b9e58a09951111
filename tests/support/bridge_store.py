"""The border alone on PostgreSQL: a few words for what is said to it, batch by batch, and for what it does then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.topics import registry_source, registry_topic_for, service_source
from deploy.tryout.local.registries import TRYOUT
from services.chassis.base.database import Pool
from services.chassis.base.settings import Settings
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.processing import Effects
from services.chassis.log.records import Record, unpack_headers
from services.chassis.service import Service
from tests.support.bridge_messages import T0, inner
from tests.support.clocks import HandClock
from tests.support.linkage import Linkage
from tests.support.linkages import given, postgres_linkage, services_of, settings_of

Kind = TypeVar("Kind", bound=Message)


class BridgeOnPostgres:
    """``say``, ``hear`` and ``take`` are one batch each. Nothing else happens until time passes."""

    def __init__(self, linkage: Linkage) -> None:
        self.linkage = linkage
        self.member = linkage.members["bridge"]
        self.pool: Pool = self.member.base.pool

    @property
    def clock(self) -> HandClock:
        """The one clock."""
        return self.linkage.clock

    @property
    def service(self) -> Service:
        """As it runs now."""
        return self.member.service

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return self.member.settings

    @property
    def lanes(self) -> dict[str, LiveBatches]:
        """Its groups, each over a connection of its own."""
        return self.member.lanes

    async def say(self, code: str, *messages: Message) -> Effects:
        """A registry's messages, as one batch."""
        return await self.take(*(self.record(self.said(code, message)) for message in messages))

    async def hear(self, *messages: Message) -> Effects:
        """Inner messages, as one batch."""
        return await self.take(*(self.record(self.heard(message)) for message in messages))

    def said(self, code: str, message: Message) -> Event:
        """A registry's event."""
        return Event(str(uuid4()), registry_source(code), self.clock.now(), message)

    def heard(self, message: Message) -> Event:
        """An inner service's event."""
        return Event(str(uuid4()), service_source(inner(message)[0]), self.clock.now(), message)

    def record(self, event: Event, topic: str | None = None) -> Record:
        """The event as it comes in its topic, or in another one where it should not."""
        name = topic or registry_topic_for(event.source, type(event.data)) or inner(event.data)[1].name
        value, headers = encode(event)
        return self.linkage.log.record(name, event.key.encode(), headers, value)

    async def take(self, *records: Record) -> Effects:
        """These records of one group, as one batch."""
        [group] = {self.service.entries()[record.topic][1].group for record in records}
        for record in records:
            self.linkage.log.append(record)
        return await self.member.take(group, self.member.unread(group))

    async def reenter(self) -> None:
        """Decide all that is ready."""
        while await self.member.reenter():
            pass

    async def pass_time(self, span: timedelta) -> None:
        """Let the clock go on, and everything that follows from it."""
        await self.linkage.pass_time(span)

    async def restart(self, registries: Path) -> None:
        """Begin anew with the files of this folder."""
        self.member.settings = settings_of({"registries": registries})
        [self.member.service] = services_of(["bridge"], self.member.settings)
        await self.member.start()

    async def sent(self, kind: type[Kind]) -> list[Kind]:
        """All messages of a kind that it sent, in order: those that are published, and those in the outbox."""
        said = [(record.value, record.headers) for record in self.linkage.log.records]
        said += [(row.value, unpack_headers(row.headers)) for _, row in await self.member.base.standing()]
        events = [decode(value, headers) for value, headers in said]
        return [e.data for e in events if e.source == self.service.source and isinstance(e.data, kind)]

    async def set_aside(self) -> list[str]:
        """Reasons of all messages set aside, in order."""
        return [row.reason for row in await self.member.base.set_aside()]


@asynccontextmanager
async def bridge_on(dsn: str, registries: Path = TRYOUT, **settings: Any) -> AsyncIterator[BridgeOnPostgres]:
    """The border on this database."""
    async with AsyncExitStack() as stack:
        linkage = await postgres_linkage(stack, given(dsn), ["bridge"], T0, registries=registries, **settings)
        yield BridgeOnPostgres(linkage)
