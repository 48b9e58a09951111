"""Questions and orders to the services over HTTP, as operators' tools and registries' pages ask them.

Whoever asks says what an answer means to him: the command line in sentences, pages in their languages. All else is
here: the token, time limits, the greatest answer, and which answers are none. Sandboxes and the operators' page may
import this module, since it knows no service.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import httpx

__all__ = ["Asking", "NoAnswer", "Parameters", "Refused", "asking"]

Parameters: TypeAlias = "Mapping[str, Any] | Sequence[tuple[str, Any]]"

_MOST_BYTES: Final = 8 * 1024 * 1024
"""Bytes of an answer. The longest page of a service has a few hundred KiB."""


class NoAnswer(Exception):
    """No answer came, or none that a service gives. ``sent``: the request may have arrived, and an order in it may
    have been followed. ``status``: of an answer that is not JSON."""

    def __init__(self, detail: str, *, sent: bool = True, status: int | None = None) -> None:
        super().__init__(detail)
        self.sent = sent
        self.status = status


class Refused(Exception):
    """The service answered with another status than 200. ``document``: the JSON of its answer."""

    def __init__(self, status: int, document: Any) -> None:
        self.status = status
        self.document = document
        said = document if isinstance(document, Mapping) else {}
        self.detail = str(said.get("detail") or said.get("error") or f"status {status}")
        super().__init__(self.detail)


class Asking:
    """Asks over one HTTP client. An answer comes whole within ``seconds``, or is none."""

    def __init__(self, http: httpx.AsyncClient, seconds: float) -> None:
        self._http = http
        self._seconds = seconds

    async def get(self, url: str, parameters: Parameters = (), *, bearer: str | None = None) -> Any:
        """The JSON of an answer to a question. Parameters that are None are left out.

        Raises ``NoAnswer`` and ``Refused``.
        """
        given = parameters.items() if isinstance(parameters, Mapping) else parameters
        params = [(name, value) for name, value in given if value is not None]
        return await self._asked("GET", url, bearer, self._seconds, params=params)

    async def post(
        self, url: str, body: Mapping[str, Any], *, bearer: str | None = None, seconds: float | None = None
    ) -> Any:
        """The JSON of an answer to an order. Raises ``NoAnswer`` and ``Refused``."""
        return await self._asked("POST", url, bearer, seconds or self._seconds, json=body)

    async def _asked(self, method: str, url: str, bearer: str | None, seconds: float, **what: Any) -> Any:
        headers = {} if bearer is None else _token(bearer)
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.stream(method, url, headers=headers, timeout=seconds, **what) as answer,
            ):
                status, body = answer.status_code, await _whole(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NoAnswer(_words(error), sent=False) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise NoAnswer(f"no answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            raise NoAnswer(_words(error)) from error
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise NoAnswer("its answer is not JSON", status=status) from None
        if status != httpx.codes.OK:
            raise Refused(status, document)
        return document


@asynccontextmanager
async def asking(seconds: float, bearer: str = "") -> AsyncIterator[Asking]:
    """A client that is closed afterwards. ``bearer``: the token of all that it asks."""
    # No proxy of the environment: tokens go to the services alone.
    headers = _token(bearer) if bearer else {}
    async with httpx.AsyncClient(headers=headers, trust_env=False, verify=_authorities()) as http:
        yield Asking(http, seconds)


@functools.cache
def _authorities() -> ssl.SSLContext:
    """All authorities that this machine knows. Each client would else read them anew, 40 ms of a processor."""
    return httpx.create_ssl_context(trust_env=False)


def _token(bearer: str) -> dict[str, str]:
    return {"authorization": f"Bearer {bearer}"}


async def _whole(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > _MOST_BYTES:
            raise NoAnswer(f"its answer has more than {_MOST_BYTES} bytes", status=answer.status_code)
    return bytes(body)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
