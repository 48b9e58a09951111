"""A database that shuts down in order tells its sessions so; who speaks before the line is cut stumbles over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.chassis.database import is_transient
from tests.support.waiting import eventually

_FATAL = b"57P01"


@asynccontextmanager
async def _line_that_is_never_cut(dsn: str) -> AsyncIterator[tuple[str, bytearray]]:
    """The database through a line that stays open after it has hung up; and what it said."""
    parts, heard = urlsplit(dsn), bytearray()
    writers: list[asyncio.StreamWriter] = []

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(parts.hostname, parts.port)
        writers.extend((writer, there))

        async def there_and_back(source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: bytearray) -> None:
            while data := await source.read(65536):
                keep += data
                target.write(data)

        with suppress(ConnectionError):
            await asyncio.gather(
                there_and_back(reader, there, bytearray()), there_and_back(there_reader, writer, heard)
            )

    server = await asyncio.start_server(passed_on, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    credentials = parts.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}")), heard
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def test_a_session_that_was_told_of_a_shutdown_before_its_line_was_cut_is_a_passing_fault(database: str) -> None:
    """An orderly restart of PostgreSQL ended an adapter for good: what it met was no error of the database's."""
    async with _line_that_is_never_cut(database) as (through, heard):
        session = await asyncpg.connect(through)
        other = await asyncpg.connect(database)
        try:
            assert await other.fetchval("SELECT pg_terminate_backend($1)", session.get_server_pid())
            await eventually(lambda: _FATAL in heard)
            await other.fetchval("SELECT 1")  # a whole round of talk: what the first one was told has come in too
            with pytest.raises(asyncpg.InternalClientError) as met:
                await session.fetchval("SELECT 1")
        finally:
            await other.close()
            session.terminate()
    assert is_transient(met.value)


def test_a_server_that_speaks_another_protocol_is_no_passing_fault() -> None:
    assert not is_transient(asyncpg.exceptions.ProtocolError("unexpected message"))
