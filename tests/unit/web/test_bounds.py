"""What a request may cost before anybody knows who asks, on both sides of the wall alike: on real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn
from fastapi import FastAPI, Request

from deploy.web import bounds
from services.chassis.base import bounds as bounds_of_services
from tests.support.floods import answer_to
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("side", [bounds, bounds_of_services], ids=["pages", "services"])
HEAD = "POST /take HTTP/1.1\r\nHost: x\r\n"


@contextlib.asynccontextmanager
async def served(side: ModuleType) -> AsyncIterator[str]:
    """An application that reads bodies whole; ``/large`` takes 256 KiB."""
    app = FastAPI()
    app.add_middleware(side.Bounded)

    @app.post("/take")
    async def take(request: Request) -> int:
        return len(await request.body())

    @app.post("/large")
    async def large(request: Request) -> int:
        side.allow(request, 256 * 1024)
        return len(await request.body())

    @app.post("/early")
    async def early() -> int:
        return 7

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", **side.SERVER))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def told(side: ModuleType, sent: str) -> str:
    """All that is heard until the connection is closed."""
    async with served(side) as url:
        return (await asyncio.to_thread(answer_to, url, sent.encode())).decode()


def chunked(size: int) -> str:
    return f"Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{'a' * size}\r\n0\r\n\r\n"


def test_pages_and_services_bound_requests_alike(side: ModuleType) -> None:
    both = [Path(str(module.__file__)).read_text("utf-8") for module in (side, bounds)]
    assert len({text.partition("from __future__")[2] for text in both}) == 1


async def test_a_body_is_refused_at_the_first_byte_too_many_and_the_connection_closed(side: ModuleType) -> None:
    for sent in (f"Content-Length: {2**60}\r\n\r\n", chunked(side.MOST_BYTES + 1)):
        answer = await told(side, HEAD + sent)
        assert answer.startswith("HTTP/1.1 413 ")
        assert "connection: close" in answer.lower()
    whole = await told(side, HEAD + "Connection: close\r\n" + chunked(side.MOST_BYTES))
    assert whole.endswith(str(side.MOST_BYTES))


async def test_a_small_body_that_nobody_reads_costs_its_client_neither_the_answer_nor_the_connection(
    side: ModuleType,
) -> None:
    """A page that refused a form before it was read reset the connection: the browser saw no page."""
    one = "POST /early HTTP/1.1\r\nHost: x\r\n"
    last = one + "Connection: close\r\nContent-Length: 0\r\n\r\n"
    for sent in ("Content-Length: 5\r\n\r\nabcde", chunked(5000)):
        assert (await told(side, one + sent + last)).count("HTTP/1.1 200 ") == 2
    assert (await told(side, f"{one}Content-Length: {2**40}\r\n\r\n{last}")).count("HTTP/1.1 200 ") == 1


async def test_a_route_may_allow_more(side: ModuleType) -> None:
    head = "POST /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert (await told(side, head + chunked(256 * 1024))).endswith(str(256 * 1024))
    assert (await told(side, head + chunked(256 * 1024 + 1))).startswith("HTTP/1.1 413 ")


async def test_a_body_that_does_not_come_is_not_waited_for(side: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "_BODY_SECONDS", 0.2)
    for sent in ("Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
        assert (await told(side, HEAD + sent)).startswith("HTTP/1.1 408 ")


async def test_a_head_that_does_not_come_whole_is_not_waited_for(
    side: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``told`` gives up after two minutes, and would say nothing of the kind."""
    monkeypatch.setattr(side, "_HEAD_SECONDS", 0.2)
    assert await told(side, "") == ""
    assert await told(side, HEAD) == ""
    answer = await told(side, HEAD + "Content-Length: 1\r\n\r\nx" + HEAD)  # the second one on a connection
    assert answer.count("HTTP/1.1 200 ") == 1


async def test_an_address_and_headers_without_an_end_are_refused(side: ModuleType) -> None:
    assert (await told(side, f"GET /{'a' * 40_000} HTTP/1.1\r\n")).startswith("HTTP/1.1 400 ")


async def test_no_text_that_a_database_cannot_take_stands_in_an_address(side: ModuleType) -> None:
    for path in ("/take?a=%00", "/%00", "/t%00ake?b"):
        answer = await told(side, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith("HTTP/1.1 422 "), path
