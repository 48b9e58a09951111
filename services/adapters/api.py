"""What an operator can ask an adapter: what does not go as it should, and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.adapters import queries
from services.chassis.http import Operator
from services.chassis.reading import Reads
from services.chassis.settings import Settings

__all__ = ["api"]


def api(reads: Reads, _: Settings) -> APIRouter:
    """``GET /troubles``, for operators."""
    router = APIRouter(tags=["adapters"])

    @router.get("/troubles")
    async def troubles(
        _: Operator, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> dict[str, list[dict[str, Any]]]:
        """Credits in doubt, notices that the registry's system fails over or could not read; the oldest first."""
        async with reads.sums() as db:
            return await queries.troubles(db, limit)

    return router
