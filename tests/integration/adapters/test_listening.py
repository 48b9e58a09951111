"""The adapter listens to a registry's own pages: what was said there goes out once and in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg

from contracts.envelope import Event, decode
from contracts.messages import Message, volunteers
from contracts.topics import registry_source
from deploy.sandbox.rest_api.speech import SpokenVoice
from services.adapters.listening import Listener
from services.adapters.rest_api import RestApi
from services.adapters.worker import persistent
from services.chassis.records import unpack_headers
from tests.conftest import NewDatabase
from tests.support.adapters import Adapter, adapter, troubles
from tests.support.waiting import eventually


def withdrawn(version: int) -> Message:
    return volunteers.ConsentWithdrawn(volunteer_ref="H-1", registry="gz", version=version)


async def say(ours: Adapter, number: int, message: Message | None = None) -> bool:
    """Somebody does something on the registry's pages."""
    event = Event(f"web-{number}", registry_source("sz"), datetime.now(UTC), message or withdrawn(number))
    connection = await asyncpg.connect(ours.sandbox.dsn)
    try:
        async with connection.transaction():
            return await SpokenVoice().say(connection, event)
    finally:
        await connection.close()


async def sent(ours: Adapter) -> list[str]:
    rows = await ours.pool.fetch("SELECT headers, value FROM outbox ORDER BY id")
    return [decode(row["value"], unpack_headers(row["headers"])).id for row in rows]


@contextlib.asynccontextmanager
async def listening(ours: Adapter) -> AsyncIterator[None]:
    system = RestApi(ours.sandbox.url, "sz", seconds=0.5)
    work = asyncio.create_task(persistent(Listener(ours.pool, system, "sz", lambda: datetime.now(UTC)).session))
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await system.close()


async def goes_out(ours: Adapter, ids: list[str]) -> None:
    async def all_of_it() -> bool:
        return await sent(ours) == ids

    await eventually(all_of_it, what=f"{ids} in the outbox")


async def test_what_is_said_goes_out_in_order_and_once(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        for number in range(1, 6):
            assert await say(ours, number)
        assert not await say(ours, 3), "the same again is nothing new"
        async with listening(ours), listening(ours):  # two at once, as during a change of instance
            await goes_out(ours, [f"web-{number}" for number in range(1, 6)])
            await say(ours, 6)
            await goes_out(ours, [f"web-{number}" for number in range(1, 7)])
        async with listening(ours):
            await say(ours, 7)
            await goes_out(ours, [f"web-{number}" for number in range(1, 8)])


async def test_while_the_registry_is_away_it_is_left_in_peace_and_heard_afterwards(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        await ours.sandbox.misbehave(down_for_seconds=600)
        await say(ours, 1)
        async with listening(ours):
            await ours.sandbox.misbehave(down_for_seconds=0)
            await goes_out(ours, ["web-1"])


async def test_what_is_no_message_is_kept_for_operators_and_holds_up_nothing(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        await say(ours, 1)
        await ours.sandbox.execute(
            "INSERT INTO spoken (letter) SELECT letter || jsonb_build_object('内容', '{}'::jsonb) FROM spoken"
        )
        await say(ours, 2)
        async with listening(ours):
            await goes_out(ours, ["web-1", "web-2"])
        (one,) = (await troubles(ours)).json()["not_understood"]
        assert one["number"] == 2
        assert "Field required" in one["trouble"]
