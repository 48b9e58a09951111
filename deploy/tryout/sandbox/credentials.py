"""Addresses for machines alone are open to the bearer of the token that this registry shares with its adapter."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import HTTPException, Request
from pydantic import SecretStr

__all__ = ["bearer_of"]

_ONLY_READ: Final = frozenset({"GET", "HEAD"})


def bearer_of(token: SecretStr | None) -> Callable[[Request], Awaitable[None]]:
    """A dependency: the bearer of this token (RFC 6750) passes, anybody else gets 401. Without a token everybody gets
    401.

    A body must be declared as JSON, else 415. A page of another origin can send neither header without asking first
    (CORS), and no cookie counts. Only headers are looked at: a stranger's body is not read.
    """
    wanted = b"" if token is None else token.get_secret_value().encode()

    async def check(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), wanted)
        if not (same and wanted and scheme.lower() == "bearer"):
            raise HTTPException(401, "需要令牌 a token is needed", {"WWW-Authenticate": "Bearer"})
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method not in _ONLY_READ and kind != "application/json":
            raise HTTPException(415, "只收 application/json only")

    return check
