"""Questions of operators to attendance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from services.attendance import store
from services.chassis.base.http import Operator
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings

__all__ = ["api"]


def api(reads: Reads, _: Settings) -> APIRouter:
    """``GET /figures``: service records and minutes by host and state."""
    router = APIRouter(tags=["attendance"])

    @router.get("/figures")
    async def figures(_: Operator) -> dict[str, Any]:
        async with reads.sums() as db:
            return {"figures": [asdict(figure) for figure in await store.figures(db)]}

    return router
