"""Questions of operators to an adapter: which rows are in trouble, and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.adapters import queries
from services.chassis.base.http import Operator
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings

__all__ = ["api"]


def api(reads: Reads, _: Settings) -> APIRouter:
    """``GET /troubles``, for operators."""
    router = APIRouter(tags=["adapters"])

    @router.get("/troubles")
    async def troubles(
        _: Operator, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> dict[str, list[dict[str, Any]]]:
        """Credits and notices that are in trouble, and letters that are no message; each list has the oldest first."""
        async with reads.sums() as db:
            return await queries.troubles(db, limit)

    return router
