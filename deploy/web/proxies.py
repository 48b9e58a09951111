"""Which proxies may say that a page was asked for over TLS."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["TrustedProxies"]


def _named(given: str) -> str:
    if given.strip() == "*":
        return "*"
    try:
        return ",".join(str(ip_network(part.strip(), strict=False)) for part in given.split(","))
    except ValueError:
        raise ValueError("holds no address like 10.0.0.7, network like 172.16.0.0/12, or *") from None


TrustedProxies = Annotated[str, AfterValidator(_named)]
"""Addresses and networks with commas between them, or ``*`` for everybody. ``X-Forwarded-Proto`` and
``X-Forwarded-For`` count from these alone: anybody else could claim TLS, or another's address."""
