"""Running a sandbox: one process with an HTTP server and the tasks behind it; ``migrate`` prepares its database."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from deploy.sandbox.database import Pool, migrate
from deploy.sandbox.settings import SandboxSettings

__all__ = ["Task", "health_routes", "running", "serve"]

Task = Callable[[], Awaitable[None]]
"""Something that runs until it is cancelled."""


def serve(build: Callable[[SandboxSettings], FastAPI], *migrations: Path) -> None:
    """Run the sandbox that ``build`` makes, or apply its migrations when the first argument is ``migrate``."""
    settings = SandboxSettings(_secrets_dir=os.environ.get("SHUANGCHENG_SECRETS"))
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(migrate(settings, *migrations))
        return
    if sys.argv[1:]:
        sys.exit(f"unknown argument {sys.argv[1]!r}: 'migrate' or nothing")
    uvicorn.run(
        build(settings),
        host=settings.http_host,
        port=settings.http_port,
        log_level=settings.log_level.lower(),
        access_log=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )


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
            missing.append(f"database: {error}")
        return JSONResponse({"ready": not missing, "lacking": missing}, status_code=503 if missing else 200)

    return router
