"""Free loopback ports, for processes that are started on this machine."""

from __future__ import annotations

import socket
from collections import deque
from typing import Final

from deploy.operate.errors import EnvironmentProblem

__all__ = ["LOOPBACK", "free_port"]

LOOPBACK: Final = "127.0.0.1"
_given: Final = deque[int](maxlen=1000)
"""The ports that were given last. A process that runs for months would otherwise give every port of the machine."""


def free_port() -> int:
    """Give a loopback port on which nobody listens. It is none of the last thousand ports that this process gave."""
    for _ in range(200):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.append(port)
            return port
    raise EnvironmentProblem(
        "found no free loopback port", todo="stop some of the programs that listen on this machine"
    )
