"""All services on one log: each test here runs in memory, and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from contracts.messages.deliveries import CreditPosted, CreditReported, LinkChanged, ServiceDecided, SignupChanged
from contracts.messages.refusals import MessageRefused
from contracts.topics import DELIVERIES, REFUSALS
from deploy.operate.registries import CONFIGURED
from tests.conftest import NewDatabase
from tests.support.linkage import Linkage
from tests.support.linkages import MOMENT, memory_linkage, postgres_linkage
from tests.support.said import HOUR, Shift, attested, offered, presence, project, requested

__all__ = ["Way"]


class Way:
    """S1 of sz, who serves in gz as G1, and what has been said to both."""

    def __init__(self, linkage: Linkage) -> None:
        self.linkage = linkage
        self.say = linkage.say
        self.settle = linkage.settle
        self.pass_time = linkage.pass_time
        self.shift = Shift("gz", "P1", "H1", MOMENT + 2 * HOUR)

    async def linked(self) -> Way:
        self.say("sz", offered("S1", "gz", MOMENT))
        self.say("gz", requested("G1", "sz", "S1"))
        await self.settle()
        assert [told.state for told in self.told("gz", LinkChanged)] == ["established"]
        return self

    async def published(self, posts: int = 1, waitlist: int = 0) -> Way:
        self.say("gz", project("P1"))
        self.say("gz", self.shift.published(posts=posts, waitlist=waitlist))
        await self.settle()
        return self

    async def served(self, minutes: int = 60) -> Way:
        """She signed up at home, came at the right time, and the host attested it."""
        await (await self.linked()).published()
        self.say("sz", self.shift.requested("S1", "N1"))
        await self.settle()
        await self.pass_time(2 * HOUR)
        self.say("gz", presence(self.shift, "G1", self.shift.starts_at))
        await self.pass_time(3 * HOUR)
        self.say("gz", attested(self.shift, "G1", "R1", minutes=minutes))
        await self.settle()
        return self

    def told(self, code: str, kind: type[Any]) -> list[Any]:
        return self.linkage.log.told(DELIVERIES.of(code).name, kind)

    def refused(self, code: str) -> list[str]:
        return [told.reason for told in self.linkage.log.told(REFUSALS.of(code).name, MessageRefused)]

    def signups(self, code: str) -> list[str]:
        return [told.state for told in self.told(code, SignupChanged)]

    def credits(self) -> list[int]:
        return [told.delta for told in self.told("sz", CreditPosted)]

    def decided(self) -> list[str]:
        return [told.state for told in self.told("gz", ServiceDecided)]

    def reported(self) -> list[str]:
        return [told.state for told in self.told("gz", CreditReported)]

    async def aside(self, name: str) -> list[str]:
        return [row.reason for row in await self.linkage.members[name].base.set_aside()]

    async def parked(self, name: str) -> bool:
        return bool(await self.aside(name))


@pytest.fixture(params=["memory", "postgres"])
async def way(request: pytest.FixtureRequest, new_database: NewDatabase) -> AsyncIterator[Way]:
    async with _way(request.param, new_database) as made:
        yield made


@pytest.fixture(params=["memory", "postgres"])
async def shipped(request: pytest.FixtureRequest, new_database: NewDatabase) -> AsyncIterator[Way]:
    """With the seats of an operation: the age of messages is limited."""
    async with _way(request.param, new_database, registries=CONFIGURED) as made:
        yield made


@asynccontextmanager
async def _way(kind: str, new_database: NewDatabase, **settings: Any) -> AsyncIterator[Way]:
    if kind == "memory":
        yield Way(memory_linkage(**settings))
        return
    async with AsyncExitStack() as stack:
        yield Way(await postgres_linkage(stack, new_database, **settings))
