"""One whole linkage for a module: the session's broker, all services, a registry of each kind, an adapter.

It ends with its module: tests of one service alone use the same consumer groups, and would share its partitions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.tryout.local.broker import Broker
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from tests.support.journey import Linkage, acting


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def linkage(broker: Broker) -> AsyncIterator[Linkage]:
    options = StackOptions(broker=broker.address, settings={"AWAIT_FACTS": "15", "RECEIPT_DUE": "2"})
    async with Stack(options) as stack, acting(stack) as linkage:
        yield linkage
