"""The HTTP face of every service: health that means something, metrics, who is asking, and errors of one form."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.base import metrics
from services.chassis.base.bounds import Bounded
from services.chassis.base.configuration import ConfigurationError, read_yaml
from services.chassis.base.database import FAILURES, describe
from services.chassis.base.failures import is_transient
from services.chassis.base.logs import log
from services.chassis.base.reading import Busy, TooSlow

__all__ = ["Operator", "Principal", "create_app", "operator", "principal", "read_tokens"]

_ERRORS = {
    400: "invalid",
    401: "unknown_token",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "not_possible",
    413: "too_large",
    422: "invalid",
}
_OPERATOR: Final = "operator"
_LONGEST_NAME = 100
_PUBLIC: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Addresses that answer anybody. Every other address, known or not, needs a token."""
_LONGEST_DETAIL: Final = 300
_PRINCIPAL: Final = "shuangcheng.principal"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: an operator, perhaps with a name for the record, or a bearer of a kind that the service names, with
    the code of its party."""

    kind: str
    code: str | None = None
    name: str = _OPERATOR

    def may_read(self, kind: str, code: str) -> bool:
        """A party reads what is its own; an operator reads all."""
        return self.kind == _OPERATOR or (self.kind, self.code) == (kind, code)


def read_tokens(file: Path | None, bearers: Collection[str] = ()) -> dict[str, Principal]:
    """Tokens from YAML (token -> ``operator``, ``operator:<name>``, or ``<kind>:<code>`` with a kind of ``bearers``).

    Raises ``ConfigurationError`` naming what is wrong, never the token.
    """
    if file is None:
        return {}
    content = read_yaml(file) or {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: expected a mapping of tokens to {_forms(bearers, '<code>')}")
    tokens: dict[str, Principal] = {}
    for number, (token, who) in enumerate(content.items(), 1):
        kind, _, rest = str(who).partition(":")
        known = kind == _OPERATOR or (kind in bearers and rest)
        if not known or len(str(token)) < 16:
            forms = _forms(bearers, "…")
            raise ConfigurationError(f"{file}: entry {number} is not a token of 16+ characters with {forms}")
        if len(rest) > _LONGEST_NAME or not rest.isprintable():
            # The name goes on record with each act of the operator, and no act may fail because of it.
            raise ConfigurationError(f"{file}: entry {number} names its bearer in more than {_LONGEST_NAME} characters")
        operator = Principal(_OPERATOR, name=rest or _OPERATOR)
        tokens[str(token)] = operator if kind == _OPERATOR else Principal(kind, rest)
    return tokens


def _forms(bearers: Collection[str], rest: str) -> str:
    return " or ".join([f"'{_OPERATOR}'", *(f"'{kind}:{rest}'" for kind in sorted(bearers))])


async def principal(request: Request) -> Principal:
    """FastAPI dependency: the bearer of the token."""
    found: Principal = request.scope[_PRINCIPAL]
    return found


def _bearer(authorization: str, tokens: dict[str, Principal]) -> Principal | None:
    scheme, _, given = authorization.partition(" ")
    found: Principal | None = None
    for token, who in tokens.items():
        # All tokens are compared, each in constant time, so that the duration tells nothing.
        if hmac.compare_digest(token.encode(), given.encode()):
            found = who
    return found if scheme.lower() == "bearer" else None


class _Known:
    """Checks the caller before a byte of a body is read: FastAPI reads and validates a body before any dependency."""

    def __init__(self, app: ASGIApp, tokens: dict[str, Principal]) -> None:
        self.app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _PUBLIC:
            found = _bearer(Headers(scope=scope).get("authorization", ""), self._tokens)
            if found is None:
                told = "send your token as: Authorization: Bearer …"
                return await _answer(401, "unknown_token", told)(scope, receive, send)
            scope[_PRINCIPAL] = found
        await self.app(scope, receive, send)


async def operator(who: Annotated[Principal, Depends(principal)]) -> Principal:
    """FastAPI dependency: an operator, or 403."""
    if who.kind != _OPERATOR:
        raise HTTPException(403, "this needs an operator's token")
    return who


Operator = Annotated[Principal, Depends(operator)]


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """``{"error": a word for machines, "detail": a sentence}``; never the input, which may be a token."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return _answer(422, "invalid", f"{'/'.join(map(str, first['loc']))}: {first['msg']}")
    assert isinstance(error, AnyHTTPException)
    return _answer(error.status_code, _ERRORS.get(error.status_code, "failed"), str(error.detail))


async def _failed(request: Request, error: Exception) -> JSONResponse:
    if request.app.state.stopping():
        return _gone()
    log().warning("request failed", path=request.url.path, detail=describe(error))
    if is_transient(error):
        return _answer(503, "unavailable", "the database does not answer; ask again")
    return _answer(500, "failed", "the request failed; the log says why")


async def _busy(_: Request, __: Exception) -> JSONResponse:
    answer = _answer(503, "busy", "more is asked at present than is answered; ask again in a second")
    answer.headers["Retry-After"] = "1"
    return answer


async def _too_slow(request: Request, _: Exception) -> JSONResponse:
    log().warning("question given up, too slow", path=request.url.path)
    return _answer(503, "too_slow", "this takes too long to find; ask for less at once")


def _answer(status: int, error: str, detail: str) -> JSONResponse:
    # A detail may quote the input: it is cut, and characters that cannot be encoded become escapes.
    said = detail[:_LONGEST_DETAIL].encode(errors="backslashreplace").decode()
    return JSONResponse({"error": error, "detail": said}, status)


def _gone() -> JSONResponse:
    return _answer(503, "stopping", "this process stops; ask again")


class _Orderly:
    """Answers requests while the process stops: a new request, and a request that is cut off, gets 503 ``stopping``.

    Otherwise the server answers a bare 500 to requests that it has to give up.
    """

    def __init__(self, app: ASGIApp, stopping: Callable[[], bool]) -> None:
        self.app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if self._stopping() and not scope["path"].startswith("/health/"):
            return await _gone()(scope, receive, send)
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except asyncio.CancelledError:
            if answered:
                raise
            await _gone()(scope, receive, send)


def create_app(
    name: str,
    tokens: dict[str, Principal],
    health: Callable[[], Awaitable[dict[str, Any]]],
    exposition: Callable[[], Awaitable[bytes]] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """The app with ``/health/live``, ``/health/ready`` and ``/metrics``; a service's routers are added to it."""
    app = FastAPI(title=f"shuangcheng {name}", docs_url=None, redoc_url=None)
    app.state.stopping = stopping
    app.add_middleware(_Known, tokens=tokens)  # the innermost
    app.add_middleware(Bounded)
    app.add_middleware(_Orderly, stopping=stopping)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(TooSlow, _too_slow)
    for kind in FAILURES:
        app.add_exception_handler(kind, _failed)

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready")
    async def ready(response: Response) -> dict[str, Any]:
        state = await health()
        response.status_code = 200 if state["ready"] else 503
        return state

    @app.get("/metrics")
    async def scrape() -> Response:
        found = metrics.exposition(()) if exposition is None else await exposition()
        return Response(found, media_type="text/plain; version=0.0.4")

    return app
