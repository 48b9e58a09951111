"""The HTTP face of every service: health that means something, metrics, who is asking, and an operator's hand."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response

from services.chassis import metrics, set_aside
from services.chassis.database import Pool

__all__ = ["Operator", "Principal", "create_app", "operations", "operator", "principal", "read_tokens"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a registry's app (with its code) or an operator."""

    kind: str
    code: str | None = None

    def may_read(self, registry: str) -> bool:
        """A registry reads what is its own; an operator reads all."""
        return self.kind == "operator" or (self.kind == "registry" and self.code == registry)


def read_tokens(file: Path | None) -> dict[str, Principal]:
    """Tokens from YAML (token -> ``registry:<code>`` or ``operator``).

    Raises ``ValueError`` naming what is wrong, never the token.
    """
    if file is None:
        return {}
    content = yaml.safe_load(file.read_text()) or {}
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a mapping of tokens to 'operator' or 'registry:<code>'")
    tokens: dict[str, Principal] = {}
    for number, (token, who) in enumerate(content.items(), 1):
        kind, _, code = str(who).partition(":")
        if kind not in ("operator", "registry") or (kind == "registry") != bool(code) or len(str(token)) < 16:
            raise ValueError(f"{file}: entry {number} is not a token of 16+ characters with 'operator' or 'registry:…'")
        tokens[str(token)] = Principal(kind, code or None)
    return tokens


async def principal(request: Request) -> Principal:
    """FastAPI dependency: the bearer of the token, or 401."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    found: Principal | None = None
    for token, who in request.app.state.tokens.items():
        # All are compared, in constant time each, so that nothing is learnt from how long it takes.
        if hmac.compare_digest(token.encode(), given.encode()):
            found = who
    if scheme.lower() != "bearer" or found is None:
        raise HTTPException(401, "send a token of your registry as: Authorization: Bearer …")
    return found


async def operator(who: Annotated[Principal, Depends(principal)]) -> Principal:
    """FastAPI dependency: an operator, or 403."""
    if who.kind != "operator":
        raise HTTPException(403, "this needs an operator's token")
    return who


Operator = Annotated[Principal, Depends(operator)]


def operations(pool: Pool, wake: Callable[[], None]) -> APIRouter:
    """What an operator can see and do about messages set aside."""
    router = APIRouter(prefix="/operations", tags=["operations"])

    @router.get("/set-aside")
    async def set_aside_list(
        _: Operator, reason: str | None = None, after: int = 0, limit: int = 100
    ) -> dict[str, Any]:
        async with pool.acquire() as db:
            rows = await set_aside.listing(db, reason, after, min(limit, 500))
            return {"summary": await set_aside.summary(db), "messages": rows}

    @router.post("/set-aside/release")
    async def set_aside_release(_: Operator, sequences: list[int]) -> dict[str, int]:
        """Decide raised messages again, in order, and then what stands behind them."""
        async with pool.acquire() as db:
            released = await set_aside.release(db, sequences)
        wake()
        return {"released": released}

    return router


def create_app(name: str, tokens: dict[str, Principal], health: Callable[[], Awaitable[dict[str, Any]]]) -> FastAPI:
    """The app with ``/health/live``, ``/health/ready`` and ``/metrics``; a service's routers are added to it."""
    app = FastAPI(title=f"shuangcheng {name}", docs_url=None, redoc_url=None)
    app.state.tokens = tokens

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready")
    async def ready(response: Response) -> dict[str, Any]:
        state = await health()
        response.status_code = 200 if state["ready"] else 503
        return state

    @app.get("/metrics")
    async def exposition() -> Response:
        await health()  # refreshes the gauges that are read from the database
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    return app
