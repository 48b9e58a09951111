"""The registry as an application: its tasks, its pages, its health."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException

from deploy.tryout.sandbox import pages
from deploy.tryout.sandbox.credentials import bearer_of
from deploy.tryout.sandbox.database import Pool, open_pool
from deploy.tryout.sandbox.kafka_native.progress import progress
from deploy.tryout.sandbox.kafka_native.reader import Reader
from deploy.tryout.sandbox.kafka_native.receipts import Publisher
from deploy.tryout.sandbox.kafka_native.voice import OutboxVoice
from deploy.tryout.sandbox.mischief import Mischief, mischief_routes
from deploy.tryout.sandbox.server import application, health_routes, running
from deploy.tryout.sandbox.settings import SandboxSettings, Seat
from deploy.tryout.sandbox.sums import sums_routes
from deploy.tryout.sandbox.web import opened, pages_on

__all__ = ["build"]


def build(settings: SandboxSettings) -> FastAPI:
    """The application. It connects when it starts."""
    seat = settings.seat(rounding=1)
    mischief = Mischief()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await open_pool(settings) as pool:
            publisher = Publisher(settings, pool)
            reader = Reader(settings, seat, pool, mischief, publisher)
            app.state.pool, app.state.publisher, app.state.reader = pool, publisher, reader
            async with running([publisher.run, reader.run]), opened(site, settings, pool, OutboxVoice(publisher)):
                yield

    app = application(seat.code, lifespan)
    site = pages_on(app, settings, seat, lambda: mischief.down)

    def pool() -> Pool:
        found: Pool = app.state.pool
        return found

    def lacking() -> list[str]:
        parts = {"reader": app.state.reader.ready, "publisher": app.state.publisher.ready}
        return [f"{name} is not connected to the broker" for name, ready in parts.items() if not ready]

    app.include_router(health_routes(pool, lacking))
    app.include_router(mischief_routes(mischief, settings))
    app.include_router(sums_routes(settings, pool))
    app.include_router(_books(settings, seat, pool))
    return app


def _books(settings: SandboxSettings, seat: Seat, pool: Callable[[], Pool]) -> APIRouter:
    """The books over HTTP, for the bearer of the system's token."""
    books = APIRouter(prefix="/books", dependencies=[Depends(bearer_of(settings.system_token))])

    @books.get("/volunteers/{ref}")
    async def volunteer(ref: str) -> dict[str, Any]:
        page = await pages.volunteer(pool(), seat, ref)
        if page is None:
            raise HTTPException(404, "no such volunteer here")
        return page

    @books.get("/shifts")
    async def shifts(project_ref: str | None = None) -> list[dict[str, Any]]:
        return await pages.shifts(pool(), seat, project_ref)

    @books.get("/returned")
    async def returned() -> list[dict[str, Any]]:
        return await pages.returned(pool())

    @books.get("/under-way")
    async def under_way() -> dict[str, Any]:
        return await progress(pool())

    return books
