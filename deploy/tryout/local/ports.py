"""Loopback ports: finds free ports, refuses busy ports, waits until a port is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

from deploy.operate.errors import EnvironmentProblem

LOOPBACK = "127.0.0.1"
_given: set[int] = set()


def url_of(port: int) -> str:
    """The URL of what a process answers over HTTP on this loopback port."""
    return f"http://{LOOPBACK}:{port}"


def free_port() -> int:
    """Give a loopback port on which nobody listens. A process never gets the same port twice."""
    for _ in range(200):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port
    raise EnvironmentProblem(
        "found no free loopback port", todo="stop some of the programs that listen on this machine"
    )


def require_free(port: int) -> int:
    """Give this port again, or raise EnvironmentProblem when something listens on it already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise EnvironmentProblem(
                f"port {port} on {LOOPBACK} cannot be used: {error}",
                todo="stop the program that listens there, or choose other ports",
            ) from error
    return port


async def wait_for_port(
    host: str, port: int, *, seconds: float, still_alive: Callable[[], bool] = lambda: True
) -> bool:
    """Wait until something accepts connections. False when nothing does in time, or `still_alive` gives False."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and still_alive():
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout=2)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
        await asyncio.sleep(0.02)
    return False
