"""New rows go by COPY, which asyncpg lets wait for room to write without any limit of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.chassis.database import add_rows, is_transient
from tests.support.waiting import eventually

_LARGE = [(number, bytes(1_000_000)) for number in range(64)]
"""More than all buffers on the way can take."""


@asynccontextmanager
async def _line_that_stops(dsn: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The database through a line that carries nothing more to it once told so, and stays open."""
    parts, stopped = urlsplit(dsn), asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(parts.hostname, parts.port)
        writers.extend((writer, there))

        async def there_to_here() -> None:
            while data := await there_reader.read(65536):
                writer.write(data)

        async def here_to_there() -> None:
            while not stopped.is_set() and (data := await reader.read(65536)):
                there.write(data)
                await there.drain()
            await asyncio.Event().wait()

        with suppress(ConnectionError):
            await asyncio.gather(there_to_here(), here_to_there())

    server = await asyncio.start_server(passed_on, "127.0.0.1", 0)
    credentials = parts.netloc.rpartition("@")[0]
    port = server.sockets[0].getsockname()[1]
    try:
        yield urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}")), stopped
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def test_rows_for_a_database_that_reads_no_more_are_given_up_in_time(database: str) -> None:
    async with _line_that_stops(database) as (through, stopped):
        session = await asyncpg.connect(through)
        other = await asyncpg.connect(database)
        try:
            await other.execute("CREATE TABLE arrived (number bigint, content bytea)")
            await add_rows(session, "arrived", ("number", "content"), _LARGE[:2])
            stopped.set()
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError) as met:
                await add_rows(session, "arrived", ("number", "content"), _LARGE, within=1)
            assert is_transient(met.value)
            assert asyncio.get_running_loop().time() - began < 10
            session.terminate()  # as a lane does
            await eventually(lambda: other.fetchval("SELECT count(*) = 2 FROM arrived"))
        finally:
            session.terminate()
            await other.close()


async def test_without_rows_nothing_is_asked_of_the_database(database: str) -> None:
    session = await asyncpg.connect(database)
    await session.close()
    await add_rows(session, "nowhere", ("number",), [])
