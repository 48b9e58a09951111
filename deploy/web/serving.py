"""Serving an application with pages: its port, and an end when it is asked to."""

from __future__ import annotations

import contextlib
import socket
import sys

import uvicorn
from fastapi import FastAPI

from deploy.web.bounds import SERVER

__all__ = ["listen", "serve"]


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
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        forwarded_allow_ips=trusted_proxies,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        **SERVER,
    )
    server = uvicorn.Server(config)
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)
