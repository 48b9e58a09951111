"""A connection to PostgreSQL through a proxy, which stays open for the client even when the server closes its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Line", "line_to"]

_GOODBYE = b"X\0\0\0\x04"


@dataclass
class Line:
    """The address of the proxy, the bytes that the database sent through it, and an event that stops all traffic."""

    dsn: str
    heard: bytearray = field(default_factory=bytearray)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def line_to(dsn: str) -> AsyncIterator[Line]:
    """Open a proxy; it is closed at the end of the block."""
    parts, line = urlsplit(dsn), Line("")
    writers: list[asyncio.StreamWriter] = []

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(parts.hostname, parts.port)
        writers.extend((writer, there))

        last = b""

        async def said_here() -> None:
            nonlocal last
            while not line.stopped.is_set() and (data := await reader.read(65536)):
                last = data
                there.write(data)
                await there.drain()

        async def said_there() -> None:
            while data := await there_reader.read(65536):
                line.heard += data
                writer.write(data)
            if last.endswith(_GOODBYE):  # it waits until the database hangs up
                writer.close()

        with suppress(ConnectionError):
            await asyncio.gather(said_here(), said_there())

    server = await asyncio.start_server(passed_on, "127.0.0.1", 0)
    credentials, port = parts.netloc.rpartition("@")[0], server.sockets[0].getsockname()[1]
    line.dsn = urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
    try:
        yield line
    finally:
        server.close()
        for writer in writers:
            writer.close()
