"""The address of a broker, as somebody gives it to a command."""

from __future__ import annotations

from deploy.addresses import require_brokers
from deploy.local.errors import EnvironmentProblem

__all__ = ["parse_address"]


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; raise EnvironmentProblem when it is not of that form."""
    host, _, port = text.rpartition(":")
    try:
        require_brokers(text)
        sound = 0 < int(port) < 65536
    except ValueError:
        sound = False
    if not sound:
        raise EnvironmentProblem(f"'{text}' is not an address", todo="give HOST:PORT, for example 127.0.0.1:9092")
    return host, int(port)
