"""Serving an application with pages: its port, and an end when it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from deploy.web.bounds import SERVER

__all__ = ["Unsignalled", "listen", "serve", "serve_until"]


def listen(host: str, port: int) -> socket.socket:
    """The socket of SHUANGCHENG_HTTP_HOST and its port. Raises ``ValueError`` where that is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ValueError(f"SHUANGCHENG_HTTP_PORT {port}: {error}") from None
    # Connections inherit it. asyncio sets it for sockets that it makes itself only. Without it the body of an answer
    # waits until the client has acknowledged the head: 40 ms on Linux, for all but the first answers of a connection.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve(app: FastAPI, listener: socket.socket, trusted_proxies: str) -> None:
    """Serve until SIGTERM or SIGINT. Exits with 1 when the application does not start."""
    server = uvicorn.Server(_config(app, trusted_proxies))
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)


async def serve_until(
    stopping: asyncio.Event, app: FastAPI, listener: socket.socket, trusted_proxies: str, *, begun: asyncio.Event
) -> None:
    """Serve as a part of a process, which handles the signals. ``begun`` is set once it answers.

    Raises ``ValueError`` when the application does not start; its log says why.
    """
    server = _Part(_config(app, trusted_proxies), begun)
    with listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        asked = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        server.should_exit = True
        await serving
    if not server.started:
        raise ValueError("the application did not start; its lines above say why")


class Unsignalled(uvicorn.Server):
    """A server in a process whose signals somebody else handles: uvicorn would stop the server alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class _Part(Unsignalled):
    def __init__(self, config: uvicorn.Config, begun: asyncio.Event) -> None:
        super().__init__(config)
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # the application did not start; other parts of the process are still to stop in order
            return
        self._begun.set()


def _config(app: FastAPI, trusted_proxies: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        forwarded_allow_ips=trusted_proxies,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        **SERVER,
    )
