"""Addresses of databases, for launcher and sandboxes: said to be wrong without showing a part of it.

The services have the same in their chassis, which no sandbox may know.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import parse_qs

__all__ = ["forget_libpq_variables", "require_address", "require_brokers"]

_ENCODE: Final = (
    "is no postgresql://user:password@host:port/database; in user and password write %40 for @, %3A for :, "
)
_SIGNS: Final = "%2F for /, %3F for ?, %23 for #, %5B for [, %25 for %"
_HOST: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:@]*)(:[0-9]{1,5})?")
_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@/\s]+):[0-9]{1,5}")
_HALF_ENCODED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def require_address(dsn: str) -> None:
    """Raise ``ValueError`` for what the driver would take for another address, or would quote in a trace."""
    scheme, mark, rest = dsn.partition("://")
    head, _, query = rest.partition("?")
    place, _, database = head.partition("/")
    who, _, hosts = place.rpartition("@")
    odd = "#" in rest or "@" in who + database + query or "[" in who or _HALF_ENCODED.search(rest)
    if not mark or odd or not all(map(_HOST.fullmatch, hosts.split(","))) or not _is_query(query):
        raise ValueError(_ENCODE + _SIGNS)
    if scheme not in ("postgresql", "postgres"):
        raise ValueError("does not begin with postgresql://")


def require_brokers(text: str) -> None:
    """Raise ``ValueError`` for what is no list of brokers."""
    if not all(_BROKER.fullmatch(part.strip()) for part in text.split(",")):
        raise ValueError("is no HOST:PORT, nor several with commas between them")


def forget_libpq_variables() -> None:
    """Take PGHOST, PGSSLMODE and their like out of this process's environment: the address given decides alone.

    The driver reads them for whatever an address does not say. A shell of somebody who works with another server has
    them, and a process would be turned away, or let in elsewhere.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _is_query(query: str) -> bool:
    try:
        parse_qs(query, strict_parsing=bool(query))
    except ValueError:
        return False
    return True
