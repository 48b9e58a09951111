"""HTTP lines to one system: each carries one request at a time and is kept open for the next.

Plain httpx transports, one connection each: the client's pool looks through all of its connections for every request
and costs three times as much CPU as the call itself.
"""

from __future__ import annotations

import asyncio

import httpx

__all__ = ["Lines"]


class Lines:
    """At most ``number`` requests at once; more wait their turn. ``seconds`` limits each step of a request."""

    def __init__(self, url: str, number: int, *, seconds: float) -> None:
        self._url = url.rstrip("/")
        self._extensions = {"timeout": httpx.Timeout(seconds).as_dict()}
        context = httpx.create_ssl_context(trust_env=False)
        # Let go before the other side does: a request on a line just hung up would count as lost.
        limits = httpx.Limits(max_connections=1, keepalive_expiry=2.0)
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        self._all = [httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits) for _ in range(number)]
        for line in self._all:
            self._free.put_nowait(line)

    async def request(self, method: str, address: str, content: bytes | None = None) -> httpx.Response:
        """One request with a JSON body and its whole answer. Raises ``httpx.HTTPError``."""
        request = httpx.Request(
            method,
            self._url + address,
            content=content,
            headers={"content-type": "application/json"},
            extensions=self._extensions,
        )
        line = await self._free.get()
        try:
            answer = await line.handle_async_request(request)
            await answer.aread()
        finally:
            self._free.put_nowait(line)
        return answer

    async def close(self) -> None:
        """Hang up."""
        for line in self._all:
            await line.aclose()
