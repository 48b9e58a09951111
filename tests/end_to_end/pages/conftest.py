"""One linkage with pages for all these tests, on a broker of its own; a browser where there is one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from deploy.operate.publishing import Publisher
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from tests.support.pages import Stage, browser, chromium
from tests.support.registries import unjudged


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    options = StackOptions(
        kinds={"gz": "kafka_native", "sz": "rest_api"},
        seats=unjudged(tmp_path_factory.mktemp("seats")),
        broker="embedded",
        pages=True,
        settings={"AWAIT_FACTS": "8", "RECEIPT_DUE": "3"},
        one_process=True,
        apart=("bridge", "identity"),  # tests stop one of them now and then, to see what the pages say meanwhile
    )
    async with Stack(options) as stack, Publisher(stack.broker.address) as publisher:
        books = {code: await asyncpg.connect(stack.dsn[f"sandbox_{code}"]) for code in options.kinds}
        found = Stage(stack, publisher, books)
        try:
            yield found
        finally:
            await found.http.aclose()
            await asyncio.gather(*(book.close() for book in books.values()))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def surf() -> AsyncIterator[Browser]:
    if chromium() is None:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("no chromium command; REQUIRE_CHROMIUM forbids to skip this", pytrace=False)
        pytest.skip("no chromium command (apt-get install chromium)")
    async with browser() as running:
        yield running
