"""Limits of an HTTP request before anybody knows who asks: its bytes, its seconds, and how many run at once.

Pages have the same limits in ``deploy.web``, which no service may import; a test compares the two.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["MOST_BYTES", "SERVER", "Bounded", "Prompt", "allow"]

MOST_BYTES: Final = 64 * 1024
"""Bytes of a body where its route says nothing else (``allow``)."""
_HEAD_BYTES: Final = 32 * 1024
"""Bytes of a request's address and headers together: a search names up to 100 windows in its address."""
_HEAD_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 30.0
_LAST_SECONDS: Final = 1.0
"""Seconds for the rest of a body whose answer is known already."""
_AT_ONCE: Final = 256
"""Connections of everybody together; whoever comes after them hears 503."""
_KEY: Final = "shuangcheng.body"


class Bounded:
    """ASGI middleware. A body is refused while it is read: with 413 at the first byte too many, with 408 once it takes
    too long. NUL, which no database takes as text, is refused in addresses with 422.

    The refusal is an ``HTTPException``, so that the application says it in its own form. An answer to a request that
    was not read whole ends the connection: otherwise the rest of its body would come after it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body measured."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = scope[_KEY] = _Body(Headers(scope=scope), receive, send)
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            say = scope["app"].exception_handlers[HTTPException]
            answer = await say(Request(scope, body.receive), HTTPException(422, "the address holds a NUL (%00)"))
            await answer(scope, body.receive, body.send)
            return
        await self._app(scope, body.receive, body.send)


def allow(request: Request, most_bytes: int) -> None:
    """Let the body of this request be so large, before it is read."""
    request.scope[_KEY].most_bytes = most_bytes


class _Body:
    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self.most_bytes = MOST_BYTES
        self._receive, self._send = receive, send
        announced = headers.get("content-length", "0")
        self._announced = int(announced) if announced.isdecimal() else 0
        self._read = 0
        self._whole = not self._announced and "transfer-encoding" not in headers
        self._ends = asyncio.get_running_loop().time() + _BODY_SECONDS

    async def receive(self) -> Message:
        if self._whole:  # all that may still be heard is that the client went, and that has time
            return await self._receive()
        self._measure(self._announced)
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {_BODY_SECONDS:.0f} s") from None
        self._read += len(message.get("body", b""))
        self._measure(self._read)
        self._whole = not message.get("more_body", False)
        return message

    def _measure(self, size: int) -> None:
        if size > self.most_bytes:
            raise HTTPException(413, f"a body may have {self.most_bytes} bytes here")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._whole:
            await self._hear_out()
        if message["type"] == "http.response.start" and not self._whole:
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await self._send(message)

    async def _hear_out(self) -> None:
        """Throw away what is still coming, if it is no more than may come.

        A connection that is closed while its client still sends is reset, and the client may never see the answer.
        """
        ends = min(self._ends, asyncio.get_running_loop().time() + _LAST_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(ends):
                while not self._whole and max(self._announced, self._read) <= self.most_bytes:
                    message = await self._receive()
                    self._read += len(message.get("body", b""))
                    self._whole = not message.get("more_body", False)


class Prompt(H11Protocol):
    """uvicorn's own protocol, with an end to requests whose head never comes whole; uvicorn has none."""

    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Its first head begins."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Something came: a piece of a head or of a body."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is nothing more to wait for."""
        self._stop()
        super().connection_lost(exc)

    def _look(self) -> None:
        """While no request is under way, what comes is a head, or the rest of a body that nobody wants."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._giving_up is None:
            self._giving_up = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


SERVER: Final[dict[str, Any]] = {
    "http": Prompt,
    "h11_max_incomplete_event_size": _HEAD_BYTES,
    "limit_concurrency": _AT_ONCE,
}
"""Settings of uvicorn for every face."""
