"""Answers without an end, in length or in time: the adapter reads no more of them than what it asked for can need."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.kinds.systems import SystemAway
from services.adapters.states import Credit, Lost
from tests.support.adapters import notice_of
from tests.support.registries import MORNING, credit, offered, own

MEBIBYTE = 1024 * 1024
_PACKED = gzip.compress(b" " * MEBIBYTE) * 100  # members one after another unpack as one (RFC 1952, 2.2)
POSTED = credit("H-1", 50)
CREDIT = Credit(POSTED.transfer_id, "H-1", POSTED, "due", 0, MORNING)
Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Told:
    """How many bytes were sent, and what was asked for."""

    def __init__(self) -> None:
        self.bytes = 0
        self.requests: list[bytes] = []


@contextlib.asynccontextmanager
async def system(
    say: Callable[[asyncio.StreamWriter, Told], Awaitable[None]], *, seconds: float = 0.2
) -> AsyncIterator[tuple[RestApi, Told]]:
    """A system that answers every request so; the clients give up steps after so many seconds."""
    told = Told()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            told.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await say(writer, told)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = RestApi(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "sz", seconds=seconds)
    try:
        yield client, told
    finally:
        await client.close()
        server.close()


async def endless(writer: asyncio.StreamWriter, told: Told) -> None:
    """100 MiB that say their length before."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MEBIBYTE))
    await _much(writer, told, b" " * MEBIBYTE)


async def in_chunks(writer: asyncio.StreamWriter, told: Told) -> None:
    """100 MiB that do not."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await _much(writer, told, b"100000\r\n" + b" " * MEBIBYTE + b"\r\n")


async def packed(writer: asyncio.StreamWriter, told: Told) -> None:
    """100 MiB in 100 KiB."""
    body = _PACKED
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def now_and_then(writer: asyncio.StreamWriter, told: Told) -> None:
    """A byte in every twentieth of a second, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _much(writer: asyncio.StreamWriter, told: Told, part: bytes) -> None:
    for _ in range(100):
        writer.write(part)
        await writer.drain()
        told.bytes += len(part)


def count_peak_from_here() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_kibibytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("say", [endless, in_chunks, packed, now_and_then])
async def test_nobody_is_sure_of_a_credit_whose_answer_has_no_end_and_memory_does_not_grow(
    say: Callable[[asyncio.StreamWriter, Told], Awaitable[None]],
) -> None:
    async with system(say) as (client, told):
        count_peak_from_here()
        before = peak_kibibytes()
        outcomes = [await client.post(CREDIT), await client.ask(CREDIT)]
        with pytest.raises(SystemAway):
            await client.listen(0)
        failed = await client.tell([notice_of(own("sz", offered("H-1")))])
        assert peak_kibibytes() - before < 60 * 1024, "all of them together"
        assert all(isinstance(one, Lost) for one in outcomes), outcomes
        assert len(failed.failed) == 1
        assert told.bytes < 4 * 16 * MEBIBYTE
        assert all(b"accept-encoding: identity" in one.lower() for one in told.requests)


async def test_a_line_that_was_cut_off_carries_the_next_request() -> None:
    answers: list[Callable[[asyncio.StreamWriter, Told], Awaitable[None]]] = [endless, now_and_then] * 16

    async def say(writer: asyncio.StreamWriter, told: Told) -> None:
        if answers:
            return await answers.pop()(writer, told)
        body = '{"上报": []}'.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    # The good answers must not be late on a slow machine.
    async with system(say, seconds=2.0) as (client, _):
        lost = await asyncio.gather(*(client.post(CREDIT) for _ in range(32)))
        assert all(isinstance(one, Lost) for one in lost)
        assert await asyncio.gather(*(client.listen(0) for _ in range(32))) == [[]] * 32
