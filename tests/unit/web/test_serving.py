"""The socket on which pages are served."""

from __future__ import annotations

import asyncio
import socket

from deploy.web.serving import listen


async def test_no_answer_waits_for_the_client_to_acknowledge_its_head() -> None:
    served: asyncio.Queue[int] = asyncio.Queue()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        await served.put(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(serve, sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname())
            assert await served.get() != 0
            client.close()
