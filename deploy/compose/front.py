"""The one HTTP port of all adapters: their health in one answer, and each adapter's own addresses below its name.

``/adapter_sz/operations/set-aside`` is ``/operations/set-aside`` of the adapter of sz, asked with the caller's token.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from deploy.web.bounds import SERVER, Bounded
from deploy.web.serving import Unsignalled

__all__ = ["Answering", "front", "server_of"]

_SECONDS: Final = 30.0
_HEALTH_SECONDS: Final = 3.0
"""Less than the container's health check waits."""
_PASSED_ON: Final = ("authorization", "content-type")
_PASSED_BACK: Final = ("content-type", "retry-after", "www-authenticate")


class Answering(Protocol):
    """A process that answers HTTP on a loopback port."""

    @property
    def port(self) -> int:
        """Its port; 0 while it was never started."""

    @property
    def why(self) -> str:
        """Why it does not run, where it does not."""


def server_of(adapters: Mapping[str, Answering]) -> uvicorn.Server:
    """The server of all adapters, by name, in the caller's event loop."""
    return Unsignalled(uvicorn.Config(front(adapters), log_config=None, access_log=False, **SERVER))


def front(adapters: Mapping[str, Answering]) -> FastAPI:
    """The application."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(trust_env=False, timeout=_SECONDS) as client:
            app.state.client = client
            yield

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(Bounded)

    @app.get("/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        said = await asyncio.gather(*(_health(app.state.client, one) for one in adapters.values()))
        found = dict(zip(adapters, said, strict=True))
        why = [f"{name}: {reason}" for name, one in found.items() for reason in _reasons(one)]
        return JSONResponse({"ready": not why, "why": why, "adapters": found}, 503 if why else 200)

    @app.api_route("/{name}/{path:path}", methods=["GET", "POST"])
    async def passed_on(name: str, path: str, request: Request) -> Response:
        one = adapters.get(name)
        if one is None:
            return JSONResponse({"error": "not_found", "detail": f"there is no adapter {name}"}, 404)
        headers = {key: request.headers[key] for key in _PASSED_ON if key in request.headers}
        url = httpx.URL(f"http://127.0.0.1:{one.port}/{path}", query=request.url.query.encode())
        try:
            answer = await app.state.client.request(request.method, url, headers=headers, content=await request.body())
        except (httpx.HTTPError, httpx.InvalidURL):
            return JSONResponse({"error": "unavailable", "detail": f"{name} does not answer: {one.why}"}, 503)
        back = {key: answer.headers[key] for key in _PASSED_BACK if key in answer.headers}
        return Response(answer.content, answer.status_code, back)

    return app


async def _health(client: httpx.AsyncClient, one: Answering) -> dict[str, Any]:
    try:
        url = f"http://127.0.0.1:{one.port}/health/ready"
        said: dict[str, Any] = (await client.get(url, timeout=_HEALTH_SECONDS)).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return {"ready": False, "why": [one.why]}
    return said


def _reasons(said: Mapping[str, Any]) -> list[str]:
    return [] if said.get("ready") else list(said.get("why") or ["it is not ready"])
