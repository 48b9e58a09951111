"""HTTP lines to one system: each carries one request at a time and is kept open for the next.

Plain httpx transports, one connection each: the client's pool looks through all of its connections for every request
and costs three times as much CPU as the call itself.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx

from services.adapters.credentials import Credentials

__all__ = ["Lines", "Oversized"]

_STEPS: Final = 3
"""So many steps' time a whole request may take: one that connects, sends and is answered in time never meets it."""

_OBJECTS_SECONDS: Final = 1.0
"""So long a system has after a handshake to say that it does not let us in: more than a way there and back."""

_HUNG_UP: Final = "refuses our credentials (hung up after the handshake): see SHUANGCHENG_SYSTEM_CERTIFICATE"


class Oversized(httpx.TransportError):
    """The answer is longer than what was asked can need, or packed so that nobody knows: it was not read."""


class Lines:
    """At most ``number`` requests at once; more wait their turn.

    ``seconds`` limits each step of a request (connect, each write, each read), and three times as many the whole of
    it: a system that says a byte now and then holds a line no longer.
    """

    def __init__(self, url: str, number: int, *, seconds: float, credentials: Credentials) -> None:
        self._url = url.rstrip("/")
        self._step, self._seconds = seconds, seconds * _STEPS
        self._context, self._knocking = credentials.context, asyncio.Lock()
        self._let_in = not self._url.startswith("https:")
        self._extensions = {"timeout": httpx.Timeout(seconds).as_dict()}
        # Packed answers are not asked for: a thousandth of their length would unpack to any length at once.
        self._headers = {"content-type": "application/json", "accept-encoding": "identity", **credentials.headers}
        # Let go before the other side does: a request on a line just hung up would count as lost.
        limits = httpx.Limits(max_connections=1, keepalive_expiry=2.0)
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        self._all = [
            httpx.AsyncHTTPTransport(verify=credentials.context, trust_env=False, limits=limits) for _ in range(number)
        ]
        for line in self._all:
            self._free.put_nowait(line)

    async def request(self, method: str, address: str, content: bytes | None = None, *, most: int) -> httpx.Response:
        """One request with a JSON body and its whole answer, of ``most`` bytes.

        Raises ``httpx.HTTPError``; ``Oversized`` before more than that was kept.
        """
        request = httpx.Request(
            method, self._url + address, content=content, headers=self._headers, extensions=self._extensions
        )
        line = await self._free.get()
        try:
            await self._knock()
            try:
                return await self._answer(line, request, most)
            except (httpx.HTTPError, OSError):
                self._let_in = not self._url.startswith("https:")
                raise
        except ssl.SSLError as error:  # which httpx does not know for one of its own
            raise httpx.ReadError(str(error)) from error
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {self._seconds:g} s") from None
        finally:
            self._free.put_nowait(line)

    async def _answer(self, line: httpx.AsyncHTTPTransport, request: httpx.Request, most: int) -> httpx.Response:
        async with asyncio.timeout(self._seconds):
            answer = await line.handle_async_request(request)
            try:
                body = await _read(answer, most)
            finally:
                await answer.aclose()  # which hangs up, unless all of it was read
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    async def _knock(self) -> None:
        """Over TLS, at first and after a failure: shake hands, say nothing, and hear whether the system objects.

        With TLS 1.3 it looks at our certificate after the handshake (RFC 8446, 4.4.2.4). A request that was sent
        meanwhile would be lost with its objection, and nobody could know that it was not read. Raises
        ``httpx.ConnectError``.
        """
        async with self._knocking:
            if self._let_in:
                return
            url = httpx.URL(self._url)
            try:
                async with asyncio.timeout(self._step):
                    host, port = url.raw_host.decode("ascii"), url.port or 443
                    reader, writer = await asyncio.open_connection(host, port, ssl=self._context)
                try:
                    async with asyncio.timeout(_OBJECTS_SECONDS):
                        if not await reader.read(1):
                            raise ConnectionResetError(_HUNG_UP)  # asyncio's own servers send no alert
                except TimeoutError:
                    pass
                finally:
                    writer.transport.abort()
            except OSError as error:
                raise httpx.ConnectError(str(error) or type(error).__name__) from error
            self._let_in = True

    async def close(self) -> None:
        """Hang up."""
        for line in self._all:
            await line.aclose()


async def _read(answer: httpx.Response, most: int) -> bytes:
    if (packed := answer.headers.get("content-encoding", "identity").lower()) != "identity":
        raise Oversized(f"an answer packed with {packed[:20]!r}, which was not asked for")
    told = answer.headers.get("content-length", "")
    body = bytearray()
    if not (told.isdigit() and len(told) < 20 and int(told) > most):
        async for part in answer.aiter_raw():
            body += part
            if len(body) > most:
                break
        else:
            return bytes(body)
    raise Oversized(f"an answer of more than {most} bytes")
