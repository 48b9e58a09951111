"""One whole linkage for a module: the session's broker, all services, a registry of each kind, an adapter.

It ends with its module: tests of one service alone use the same consumer groups, and would share its partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from deploy.operate.publishing import Publisher
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from tests.support.journey import Linkage


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def linkage(broker: Broker) -> AsyncIterator[Linkage]:
    options = StackOptions(broker=broker.address, settings={"AWAIT_FACTS": "15", "RECEIPT_DUE": "2"})
    async with Stack(options) as stack, Publisher(broker.address) as publisher:
        books = {code: await asyncpg.connect(stack.dsn[f"sandbox_{code}"]) for code in ("gz", "sz")}
        bridge = await asyncpg.connect(stack.dsn["bridge"])
        try:
            yield Linkage(stack, publisher, books, bridge)
        finally:
            await asyncio.gather(bridge.close(), *(book.close() for book in books.values()))
