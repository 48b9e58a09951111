"""The operators' part of the border's HTTP face: what moves now, where books may differ, and registries that rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from contracts.registry import Registry
from services.bridge import books, store
from services.bridge.states import Pause
from services.chassis.clock import Clock
from services.chassis.database import Pool
from services.chassis.http import Operator
from services.chassis.logs import log
from services.chassis.settings import Settings

__all__ = ["operating"]


class Reason(BaseModel):
    """Why, in the operator's words; it stays on record with her name."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


def operating(registries: Mapping[str, Registry], pool: Pool, settings: Settings) -> APIRouter:
    """``GET /flows``, ``/breaks`` and ``/registries``; ``POST /registries/{code}/pause`` and ``…/resume``."""
    router = APIRouter(tags=["operations"])
    clock = Clock(timedelta(seconds=settings.clock_offset))

    @router.get("/flows")
    async def flows(_: Operator, minutes: Annotated[int, Query(ge=1, le=1440)] = 60) -> dict[str, Any]:
        """Open transfers by direction, state and reason; what ended in the last minutes, and how long it took."""
        now = clock.now()
        async with pool.acquire() as db:
            found = await books.flows(db, now, timedelta(minutes=minutes))
        return {"at": now, "open": found.open, "ended": found.ended, "by_minute": found.by_minute}

    @router.get("/breaks")
    async def breaks(_: Operator, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
        """Transfers of which nobody knows whether they were booked, and contradicting receipts of the last day."""
        async with pool.acquire() as db:
            uncertain, conflicts = await books.breaks(db, clock.now(), limit)
        return {"uncertain": uncertain, "conflicts": conflicts}

    @router.get("/registries")
    async def seats(_: Operator) -> dict[str, Any]:
        """Every registry of this linkage: its names, what its file says of it, and whether an operator paused it."""
        async with pool.acquire() as db:
            paused = await books.pauses(db)
        return {code: _seat(registry, paused.get(code)) for code, registry in registries.items()}

    @router.post("/registries/{code}/pause")
    async def pause(who: Operator, code: str, given: Reason) -> dict[str, Any]:
        """Read nothing more of it and send it no credit. What is under way already arrives; nothing is lost."""
        registry = _known(registries, code)
        async with pool.acquire() as db:
            done = await store.pause(db, Pause(code, who.name, given.why, clock.now()))
            standing = (await books.pauses(db)).get(code)
        if done:
            log().warning("registry paused", registry=code, operator=who.name)
        return _seat(registry, standing)

    @router.post("/registries/{code}/resume")
    async def resume(who: Operator, code: str, given: Reason) -> dict[str, Any]:
        """Read it again, and send what waited for it at once."""
        registry = _known(registries, code)
        async with pool.acquire() as db:
            done = await store.resume(db, code, who.name, given.why, clock.now())
        if done:
            log().warning("registry resumed", registry=code, operator=who.name)
        return _seat(registry, None)

    return router


def _known(registries: Mapping[str, Registry], code: str) -> Registry:
    found = registries.get(code)
    if found is None:
        raise HTTPException(404, "no registry of this code takes part")
    return found


def _seat(registry: Registry, pause: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "names": {"zh": registry.names.zh, "en": registry.names.en},
        "state": registry.state,
        "capability": registry.capability,
        "system": registry.system,
        "paused": None if pause is None else {name: pause[name] for name in ("operator", "why", "since")},
    }
