"""The registry as an application: its interface, its pages, its health."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException

from deploy.tryout.sandbox import pages
from deploy.tryout.sandbox.credentials import bearer_of
from deploy.tryout.sandbox.database import Pool, open_pool
from deploy.tryout.sandbox.mischief import Mischief, mischief_routes
from deploy.tryout.sandbox.rest_api.clerk import Clerk
from deploy.tryout.sandbox.rest_api.forms import in_own_words
from deploy.tryout.sandbox.rest_api.interface import interface
from deploy.tryout.sandbox.rest_api.speech import SpokenVoice
from deploy.tryout.sandbox.server import application, health_routes, running
from deploy.tryout.sandbox.settings import SandboxSettings, Seat
from deploy.tryout.sandbox.sums import sums_routes
from deploy.tryout.sandbox.web import opened, pages_on

__all__ = ["build"]


def build(settings: SandboxSettings) -> FastAPI:
    """The application. It connects when it starts. Raises ``ValueError`` without a token for its interface."""
    if settings.system_token is None:
        raise ValueError("set SHUANGCHENG_SYSTEM_TOKEN to the token that its adapter brings, 16 characters or more")
    seat = settings.seat(rounding=30)
    mischief = Mischief()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await open_pool(settings) as pool:
            app.state.pool, app.state.clerk = pool, Clerk(pool, seat, mischief)
            async with running([app.state.clerk.run]), opened(site, settings, pool, SpokenVoice()):
                yield

    app = application(seat.code, lifespan)
    site = pages_on(app, settings, seat, lambda: mischief.down)

    def pool() -> Pool:
        found: Pool = app.state.pool
        return found

    def clerk() -> Clerk:
        found: Clerk = app.state.clerk
        return found

    app.include_router(health_routes(pool, list))
    app.include_router(mischief_routes(mischief, settings))
    app.include_router(sums_routes(settings, pool))
    app.include_router(interface(seat, settings.system_token, mischief, pool, clerk))
    app.include_router(_books(settings, seat, pool))
    return app


def _books(settings: SandboxSettings, seat: Seat, pool: Callable[[], Pool]) -> APIRouter:
    """The books over HTTP in our own words, for the bearer of the system's token."""
    books = APIRouter(prefix="/books", dependencies=[Depends(bearer_of(settings.system_token))])

    @books.get("/volunteers/{ref}")
    async def volunteer(ref: str) -> dict[str, Any]:
        page = await pages.volunteer(pool(), seat, ref)
        if page is None:
            raise HTTPException(404, "查无此人")
        found: dict[str, Any] = in_own_words(page)
        return found

    @books.get("/shifts")
    async def shifts(project_ref: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = in_own_words(await pages.shifts(pool(), seat, project_ref))
        return found

    @books.get("/returned")
    async def returned() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = in_own_words(await pages.returned(pool()))
        return found

    return books
