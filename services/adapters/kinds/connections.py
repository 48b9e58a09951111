"""HTTP connections to one system: each carries one request at a time and is kept open for the next.

They are plain httpx transports, with one connection each. The pool of an httpx client looks through all of its
connections for every request, and costs three times as much CPU as the call itself.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx

from services.adapters.kinds.credentials import Credentials

__all__ = ["Connections", "Oversized"]

_STEPS: Final = 3
"""A whole request may take the time of three steps: to connect, to send, to be answered."""

_OBJECTS_SECONDS: Final = 1.0
"""How long a system has after a handshake to say that it does not let us in: more than a round trip."""

_HUNG_UP: Final = "refuses our credentials (hung up after the handshake): see SHUANGCHENG_SYSTEM_CERTIFICATE"


class Oversized(httpx.TransportError):
    """The answer was not read: it is longer than any answer to this request needs to be, or packed, so that its length
    is not known."""


class Connections:
    """At most ``number`` requests run at once; others wait for a free connection.

    ``seconds`` limits each step of a request (connect, each write, each read). Three times as many limit the whole
    request, so that a system that sends a byte now and then cannot occupy a connection longer.
    """

    def __init__(self, url: str, number: int, *, seconds: float, credentials: Credentials) -> None:
        self._url = url.rstrip("/")
        self._step, self._seconds = seconds, seconds * _STEPS
        self._context, self._knocking = credentials.context, asyncio.Lock()
        self._let_in = not self._url.startswith("https:")
        self._extensions = {"timeout": httpx.Timeout(seconds).as_dict()}
        # No packed answers: a few bytes of one could unpack to any length at once.
        self._headers = {"content-type": "application/json", "accept-encoding": "identity", **credentials.headers}
        # We close idle connections before the other side does: a request on a connection that the other side has just
        # closed would count as lost.
        limits = httpx.Limits(max_connections=1, keepalive_expiry=2.0)
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        self._all = [
            httpx.AsyncHTTPTransport(verify=credentials.context, trust_env=False, limits=limits) for _ in range(number)
        ]
        for connection in self._all:
            self._free.put_nowait(connection)

    async def request(self, method: str, address: str, content: bytes | None = None, *, most: int) -> httpx.Response:
        """Send one request with a JSON body and read its whole answer, of at most ``most`` bytes.

        Raises ``httpx.HTTPError``; ``Oversized`` as soon as the answer is longer.
        """
        request = httpx.Request(
            method, self._url + address, content=content, headers=self._headers, extensions=self._extensions
        )
        connection = await self._free.get()
        try:
            await self._knock()
            try:
                return await self._answer(connection, request, most)
            except (httpx.HTTPError, OSError):
                self._let_in = not self._url.startswith("https:")
                raise
        except ssl.SSLError as error:  # httpx does not turn it into an error of its own
            raise httpx.ReadError(str(error)) from error
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {self._seconds:g} s") from None
        finally:
            self._free.put_nowait(connection)

    async def _answer(self, connection: httpx.AsyncHTTPTransport, request: httpx.Request, most: int) -> httpx.Response:
        async with asyncio.timeout(self._seconds):
            answer = await connection.handle_async_request(request)
            try:
                body = await _read(answer, most)
            finally:
                await answer.aclose()  # closes the connection, unless the whole answer was read
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    async def _knock(self) -> None:
        """Over TLS, before the first request and after a failure: make a handshake, send nothing, and wait whether the
        system objects. Raises ``httpx.ConnectError``.

        With TLS 1.3 a system looks at our certificate after the handshake (RFC 8446, 4.4.2.4). A request that was sent
        meanwhile would be lost with the objection, and nobody could know that it was not read.
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
        """Close all connections."""
        for connection in self._all:
            await connection.aclose()


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
