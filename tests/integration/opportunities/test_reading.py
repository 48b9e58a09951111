"""Questions over HTTP leave the service's work alone: few at a time, none for long, and what is too much is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from services.chassis.base.database import open_pool
from services.chassis.base.http import Principal, create_app
from services.chassis.base.reading import AT_ONCE, IN_LINE, READERS, Reads
from services.chassis.base.settings import Settings
from services.opportunities.api import api
from tests.integration.opportunities.conftest import Opportunities, Rig
from tests.support.opportunities import BEFORE, project, request, shift
from tests.support.waiting import eventually

NOWHERE = {"text": "水族馆", "at": BEFORE.isoformat()}


@asynccontextmanager
async def asking(reads: Reads) -> AsyncIterator[httpx.AsyncClient]:
    """A registry's app."""

    async def healthy() -> dict[str, Any]:
        return {"ready": True}

    app = create_app("opportunities", {"a-token-of-sz-0001": Principal("registry", "sz")}, healthy)
    app.include_router(api(reads, Settings(profile="test")))
    headers = {"Authorization": "Bearer a-token-of-sz-0001"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        yield client


async def test_searches_wait_for_their_turn_and_too_many_are_told_to_come_again_while_sign_ups_are_decided(
    rig: Rig,
) -> None:
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(rig.running(read_seconds=30.0))
        await eventually(lambda: hasattr(runtime, "reads"))
        reads = runtime.reads
        client = await stack.enter_async_context(asking(reads))
        async with reads.question(), reads.question():  # all that run at once, however long they take
            asked = [asyncio.create_task(client.get("/search", params=NOWHERE)) for _ in range(IN_LINE)]
            while True:  # until all of them stand in line, one more would be answered later
                late = asyncio.create_task(client.get("/search", params=NOWHERE))
                done, _ = await asyncio.wait({late}, timeout=0.05)
                if done:
                    break
                asked.append(late)
            refused = late.result()
            assert (refused.status_code, refused.json()["error"], refused.headers["Retry-After"]) == (503, "busy", "1")
            await rig.send_all(project(), shift("s1", posts=1), request(uuid4(), "s1"))
            await eventually(lambda: rig.count("signup WHERE state = 'confirmed'"))
            assert not any(task.done() for task in asked[:IN_LINE])
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200}


async def test_a_question_that_takes_too_long_is_given_up_and_says_what_to_do(
    books: Opportunities, database: str
) -> None:
    pool = await open_pool(database, size=1, application="test")
    readers = await open_pool(database, size=READERS, application="test-reads", seconds=0.3)
    blocker: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database)
    try:
        async with asking(Reads(pool, readers)) as client:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE shift IN ACCESS EXCLUSIVE MODE")
                answers = await asyncio.gather(*(client.get("/search", params=NOWHERE) for _ in range(2 * AT_ONCE)))
                assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(503, "too_slow")}
                assert "ask for less" in answers[0].json()["detail"]
            assert (await client.get("/search", params=NOWHERE)).status_code == 200
    finally:
        await blocker.close()
        await readers.close()
        await pool.close()


async def test_what_no_text_can_hold_is_refused_and_not_asked_of_the_database(
    books: Opportunities, database: str
) -> None:
    pool = await open_pool(database, size=1, application="test")
    async with asking(Reads(pool, pool)) as client:
        for name in ("text", "campaign"):
            assert (await client.get("/search", params={name: "a\0b"})).status_code == 422, name
        assert (await client.get("/shifts/gz/p%00/s")).status_code in (404, 422)
    await pool.close()
