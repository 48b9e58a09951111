"""The application: its pages, and whether it lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from deploy.asking import asking
from deploy.operator.console import Console
from deploy.operator.linkage import Linkage
from deploy.operator.pages import pages
from deploy.operator.settings import OperatorSettings
from deploy.web.bounds import Bounded

__all__ = ["build"]

_SECONDS: Final = 5.0


def build(settings: OperatorSettings) -> FastAPI:
    """The page for the services that the settings name."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with asking(_SECONDS) as client:
            console.linkage = Linkage(client, settings)
            yield

    app = FastAPI(title="shuangcheng operator", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(Bounded)
    console = app.state.console = Console(app)

    @app.get("/health/live")
    @app.get("/health/ready")
    async def ready() -> dict[str, bool]:
        # The page keeps no rows, and shows which services do not answer, so it is ready whenever it lives.
        return {"ready": True}

    pages(console)
    return app
