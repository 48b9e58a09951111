"""The tasks behind a sandbox's HTTP server, and whether it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from deploy.sandbox.database import Pool

__all__ = ["Task", "health_routes", "running"]

Task = Callable[[], Awaitable[None]]
"""Something that runs until it is cancelled."""


@contextlib.asynccontextmanager
async def running(tasks: Sequence[Task]) -> AsyncIterator[None]:
    """Run tasks meanwhile, and see them ended."""
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
        except Exception:
            structlog.get_logger().exception("task_failed")
            await asyncio.sleep(1)


def health_routes(pool: Callable[[], Pool], lacking: Callable[[], list[str]]) -> APIRouter:
    """``/health/live`` and ``/health/ready``; ``lacking`` names what is not there yet."""
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
            missing.append(f"database: {type(error).__name__}")  # anybody may ask: no names, no addresses
        return JSONResponse({"ready": not missing, "lacking": missing}, status_code=503 if missing else 200)

    return router
