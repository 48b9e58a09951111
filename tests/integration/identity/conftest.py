"""Identity alone on a log, on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import TopicPartition

from contracts.messages import Message
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS
from services.chassis.base.database import Connection
from tests.conftest import NewDatabase
from tests.support.identity import T0
from tests.support.linkage import Linkage, Member
from tests.support.linkages import postgres_linkage
from tests.support.on_postgres import OnPostgres, on_postgres

__all__ = ["Linker"]


class Linker:
    """One process of identity."""

    def __init__(self, linkage: Linkage, member: Member) -> None:
        self.linkage = linkage
        self.member = member

    @property
    def db(self) -> Connection:
        """The connection of its batches."""
        return self.member.lanes["identity"].connection

    @property
    def base(self) -> OnPostgres:
        """Its database."""
        assert isinstance(self.member.base, OnPostgres)
        return self.member.base

    async def batch(self, *commands: Message) -> None:
        """Decide and commit these, and all that lies unread, as one batch."""
        for command in commands:
            self.hears(command)
        await self.member.take("identity", self.member.unread("identity"))

    def hears(self, command: Message) -> TopicPartition:
        """The command lies on the log; gives where."""
        self.linkage.hear("bridge", IDENTITY_COMMANDS, command)
        record = self.linkage.log.records[-1]
        return TopicPartition(record.topic, record.partition)

    async def facts(self) -> list[Message]:
        """All that it has told, in order."""
        await self.member.send(await self.base.standing())
        return [event.data for event in self.linkage.log.events(IDENTITY_EVENTS.name)]

    async def rows(self) -> list[Any]:
        """All rows of its own tables."""
        return [row for table in self.member.service.store.tables for row in await self.base.all_of(table.row)]


@pytest.fixture
async def linker(new_database: NewDatabase) -> AsyncIterator[Linker]:
    """One process on a database of its own."""
    async with AsyncExitStack() as stack:
        linkage = await postgres_linkage(stack, new_database, ("identity",), T0)
        yield Linker(linkage, linkage.members["identity"])


@pytest.fixture
async def pair(linker: Linker) -> AsyncIterator[tuple[Linker, Linker]]:
    """Two processes on one database. The second reads the same partitions; ``start`` lets it begin where both are."""
    first = linker.member
    async with AsyncExitStack() as stack:
        base = await on_postgres(stack, first.service, linker.base.dsn)
        second = Member(first.service, base, first.settings, first.log, first.clock)
        await second.start()
        yield linker, Linker(linker.linkage, second)
