"""What an operator's tools and a registry's pages make of whatever answers at a service's address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy import asking as module
from deploy.asking import NoAnswer, Refused, asking
from deploy.cli.operator_client import operator_client
from deploy.operate.errors import EnvironmentProblem, LocalError


@asynccontextmanager
async def answering(*pieces: bytes, ends: bool = True) -> AsyncIterator[tuple[str, list[str]]]:
    """The URL of something that writes this to whoever asks, and then hangs up if it ``ends``; and what it was
    asked."""
    asked: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if not ends:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


def http(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} x\r\ncontent-length: {len(body.encode())}\r\n\r\n{body}".encode()


async def nothing_listens() -> str:
    async with answering() as (url, _):
        return url


async def test_an_answer_is_its_json_and_parameters_that_are_none_are_not_sent() -> None:
    async with answering(http(200, '{"shifts": [1]}')) as (url, asked), asking(60, "secret-1") as client:
        assert await client.get(f"{url}/search", {"day": "x", "after": None}) == {"shifts": [1]}
    [head] = asked
    assert head.startswith("GET /search?day=x HTTP/1.1\r\n")
    assert "authorization: Bearer secret-1\r\n" in head


async def test_the_token_of_one_request_takes_the_place_of_the_clients_own() -> None:
    async with answering(http(200, "{}")) as (url, asked), asking(60, "secret-1") as client:
        await client.post(url, {}, bearer="secret-2")
    assert "secret-2" in asked[0]
    assert "secret-1" not in asked[0]


async def test_a_proxy_of_the_environment_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(http(200, "{}")) as (proxy, seen), answering(http(200, "{}")) as (url, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with asking(60, "secret-1") as client:
            await client.get(url)
    assert (len(seen), len(asked)) == (0, 1)


async def test_a_refusal_has_its_status_its_document_and_the_services_own_sentence() -> None:
    answer = http(409, '{"error": "not_open", "detail": "it ended"}')
    async with answering(answer) as (url, _), asking(60) as client:
        with pytest.raises(Refused, match=r"^it ended$") as refused:
            await client.get(url)
    assert (refused.value.status, refused.value.document["error"]) == (409, "not_open")


async def test_where_nothing_listens_no_order_was_followed() -> None:
    url = await nothing_listens()
    async with asking(60) as client:
        with pytest.raises(NoAnswer) as unanswered:
            await client.post(url, {})
    assert not unanswered.value.sent


@pytest.mark.parametrize("url", ["nonsense", "http://[::1", "ftp://127.0.0.1/"])
async def test_an_address_that_no_client_can_ask_is_no_answer_either(url: str) -> None:
    async with asking(60) as client:
        with pytest.raises(NoAnswer) as unanswered:
            await client.get(url)
    assert not unanswered.value.sent


@pytest.mark.parametrize(
    ("pieces", "ends", "said"),
    [
        ((), True, None),
        ((b"SSH-2.0-x\r\n",), True, None),
        ((http(200, "{}")[:-1],), True, None),
        ((), False, "no answer within 0.2 s"),
        ((b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n{", b" "), False, "no answer within 0.2 s"),
        ((http(200, "hello"),), True, "its answer is not JSON"),
        ((http(200, "[" * 100_000),), True, "its answer is not JSON"),
        ((http(200, "\xff"),), True, "its answer is not JSON"),
    ],
)
async def test_a_request_that_was_sent_may_have_been_followed_whatever_came_back(
    pieces: tuple[bytes, ...], ends: bool, said: str | None
) -> None:
    async with answering(*pieces, ends=ends) as (url, _), asking(0.2 if not ends else 60) as client:
        with pytest.raises(NoAnswer, match=said) as unanswered:
            await client.post(url, {})
    assert unanswered.value.sent


async def test_an_answer_without_end_is_given_up_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 100_000)
    pieces = [b"HTTP/1.1 200 x\r\ncontent-length: 100000000\r\n\r\n", *[b" " * 10_000] * 11]
    async with answering(*pieces, ends=False) as (url, _), asking(60) as client:
        with pytest.raises(NoAnswer, match="has more than 100000 bytes"):
            await client.get(url)


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (http(503, '{"detail": "no database"}'), EnvironmentProblem, "cannot answer now: no database"),
        (http(409, '{"detail": "it ended"}'), LocalError, "does not do this: it ended"),
        (http(500, "[]"), EnvironmentProblem, r"is no service of a linkage \(status 500\)"),
        (http(404, "not found"), EnvironmentProblem, r"is no service of a linkage \(status 404\)"),
        (b"", LocalError, "was told, and its answer did not come"),
    ],
)
async def test_the_command_line_says_in_a_sentence_what_is_wrong(
    answer: bytes, kind: type[LocalError], told: str
) -> None:
    async with answering(answer) as (url, _), operator_client(url, "secret-1") as service:
        with pytest.raises(kind, match=told) as failed:
            await service.post("/operations/set-aside/release", {"sequences": [1]})
    assert failed.value.todo
    assert "secret-1" not in str(failed.value)


async def test_a_question_without_an_answer_was_no_order_and_says_where_to_look() -> None:
    async with answering() as (url, _), operator_client(url, "secret-1") as service:
        with pytest.raises(EnvironmentProblem, match=f"no service answers at {url}"):
            await service.get("/operations/set-aside")


async def test_the_authorities_of_the_machine_are_read_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page and each tool in a process read all of them again."""
    made, read = [], ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, *given: Any, **named: Any) -> None:
        made.append(context)
        read(context, *given, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    module._authorities.cache_clear()
    async with asking(1), asking(1):
        assert len(made) == 1
