"""The adapter listens to a registry's own pages: what was said there goes out once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contracts.envelope import Event, decode
from contracts.messages import Message, volunteers
from contracts.topics import registry_source
from deploy.tryout.sandbox.rest_api.speech import SpokenVoice
from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.listening import Listener
from services.adapters.parts import Part
from services.chassis.base.database import open_pool
from services.chassis.base.logs import Episode
from services.chassis.base.migrations import migrate
from services.chassis.base.persistent import cancel_all, persistent
from services.chassis.log.records import unpack_headers
from tests.conftest import NewDatabase
from tests.support.adapters import FOLDER, OURS, Adapter, adapter, troubles
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
    system = RestApi(ours.sandbox.url, "sz", credentials=OURS, seconds=0.5)
    work = asyncio.create_task(
        persistent(Listener(ours.pool, system, "sz", lambda: datetime.now(UTC)).session, Episode("interrupted"))
    )
    try:
        yield
    finally:
        await cancel_all([work])
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


def letter(number: object, what: str, *, readable: bool = True) -> dict[str, Any]:
    content = {"志愿者编号": "H-1", "对方": "gz", "版本": 1} if readable else {}
    return {"序号": number, "消息号": what, "时间": "2026-07-06T08:00:00+08:00", "类别": "撤回授权", "内容": content}


@contextlib.asynccontextmanager
async def speaking(answers: list[list[dict[str, Any]]], asked: list[int]) -> AsyncIterator[str]:
    """A system that gives these answers one after another, then the last one again and again."""

    async def said(request: Request) -> JSONResponse:
        asked.append(int(request.query_params["序号"]))
        return JSONResponse({"上报": answers.pop(0) if len(answers) > 1 else answers[0]})

    app = Starlette(routes=[Route("/接口/上报", said)])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


ODD: list[tuple[str, list[dict[str, Any]], list[str], int, int]] = [
    ("two of one number", [letter(5, "a"), letter(5, "b")], ["a", "b"], 0, 5),
    ("two unreadable of one", [letter(5, "a", readable=False), letter(5, "b", readable=False)], [], 2, 5),
    ("one of each", [letter(5, "a", readable=False), letter(5, "b")], ["b"], 1, 5),
    ("the same twice", [letter(5, "a", readable=False)] * 2, [], 1, 5),
    ("no number of theirs", [letter(-1, "a"), letter(0, "b"), letter(2**63, "c"), letter(6, "d")], ["d"], 3, 6),
    ("no number at all", [{"序号": None}, {}, letter("7", "a"), letter(True, "b"), letter(6, "c")], ["c"], 4, 6),
    ("numbers that fall", [letter(7, "a"), letter(6, "b"), letter(5, "c")], ["a", "b", "c"], 0, 7),
    ("not even letters", [[], "x", None, letter(6, "a")], ["a"], 3, 6),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("odd", "said", "aside", "heard"), [one[1:] for one in ODD], ids=[one[0] for one in ODD])
async def test_whatever_numbers_they_have_letters_are_said_or_set_aside_once_and_later_ones_are_heard(
    database: str, odd: list[dict[str, Any]], said: list[str], aside: int, heard: int
) -> None:
    await migrate(database, FOLDER)
    pool = await open_pool(database, size=3, application="test")
    asked: list[int] = []
    async with speaking([odd, odd, [*odd, letter(8, "later")]], asked) as url:
        system, part = RestApi(url, "sz"), Part("listening")
        listener = Listener(pool, system, "sz", lambda: datetime.now(UTC), part)
        work = asyncio.create_task(listener.session())
        try:
            await eventually(lambda: len(asked) > 4 and asked[-1] == 8, what="the later one heard")
        finally:
            await cancel_all([work])
            await system.close()
        assert part.away.count == 0
        rows = await pool.fetch("SELECT headers, value FROM outbox ORDER BY id")
        assert [decode(row["value"], unpack_headers(row["headers"])).id for row in rows] == [*said, "later"]
        assert await pool.fetchval("SELECT count(*) FROM not_understood") == aside
        assert asked[1] == heard
    await pool.close()


async def test_a_message_that_no_column_takes_is_set_aside_and_the_others_go_out(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        for number in range(1, 6):
            await say(ours, number)
        await ours.pool.execute(
            """CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN IF convert_from(new.headers, 'UTF8') LIKE '%web-3%' THEN RAISE EXCEPTION 'no'; END IF;
               RETURN new; END $$;
               CREATE TRIGGER fails BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION fails()"""
        )
        async with listening(ours):
            await goes_out(ours, ["web-1", "web-2", "web-4", "web-5"])
        (one,) = (await troubles(ours)).json()["not_understood"]
        assert one["number"] == 3
        assert "cannot be kept" in one["trouble"]
