"""Loopback ports of a launch: refuses busy ports, and says whether a port is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from deploy.operate.errors import EnvironmentProblem
from deploy.operate.ports import LOOPBACK


def url_of(port: int) -> str:
    """The URL of what a process answers over HTTP on this loopback port."""
    return f"http://{LOOPBACK}:{port}"


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


async def is_served(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(LOOPBACK, port), timeout=2)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
