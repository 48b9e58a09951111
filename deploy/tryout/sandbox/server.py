"""A sandbox's HTTP server: the application, the tasks behind it, and its readiness."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import StatelessLifespan

from deploy.tryout.sandbox.database import Pool
from deploy.web.bounds import Bounded

__all__ = ["Task", "application", "health_routes", "running"]

Task = Callable[[], Awaitable[None]]
"""Something that runs until it is cancelled, or fails. It can be run again."""
_AGAIN_SECONDS = 1.0


def application(code: str, lifespan: StatelessLifespan[FastAPI]) -> FastAPI:
    """A sandbox without routes yet. It describes its routes to nobody, and its errors repeat no part of a request."""
    app = FastAPI(title=f"sandbox {code}", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(Bounded)
    app.add_exception_handler(RequestValidationError, _not_read)
    return app


async def _not_read(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": error.errors()[0]["msg"]}, status_code=422)


@contextlib.asynccontextmanager
async def running(tasks: Sequence[Task]) -> AsyncIterator[None]:
    """Run these tasks during the block, and end them. A task that fails is run again after a second."""
    started = [asyncio.create_task(_kept(task)) for task in tasks]
    try:
        yield
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)


async def _kept(task: Task) -> None:
    while True:
        try:
            await task()
        except Exception as error:
            structlog.get_logger().warning("task_failed", task=task.__qualname__, error=repr(error))
            await asyncio.sleep(_AGAIN_SECONDS)


def health_routes(pool: Callable[[], Pool], lacking: Callable[[], list[str]]) -> APIRouter:
    """``/health/live`` and ``/health/ready``. ``lacking`` names the parts that are not there yet."""
    router = APIRouter(prefix="/health")

    @router.get("/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/ready")
    async def ready() -> JSONResponse:
        missing = lacking()
        try:
            await pool().fetchval("SELECT 1")
        except Exception as error:
            missing.append(f"database: {type(error).__name__}")  # anybody may ask: without names and addresses
        return JSONResponse({"ready": not missing, "lacking": missing}, status_code=503 if missing else 200)

    return router
