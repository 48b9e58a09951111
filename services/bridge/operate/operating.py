"""The operators' part of the border's HTTP API: what moves now, where ledgers may differ, and registries that are
paused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict

from contracts.registry import Registry
from contracts.topics import INBOUND
from services.bridge import store
from services.bridge.operate.hand import Why
from services.bridge.reading import queries
from services.chassis.base.clock import Clock
from services.chassis.base.database import Connection, Pool
from services.chassis.base.http import Operator, Principal
from services.chassis.base.logs import Episode, log
from services.chassis.base.persistent import persistent
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.chassis.channels import named
from services.chassis.decisions import Channel
from services.chassis.service import Heard

__all__ = ["end_pauses", "heard_out", "operating"]

_LOOK_SECONDS: Final = 0.5
_Change: TypeAlias = Callable[[Connection, str, str, str, datetime], Awaitable[bool]]
"""``store.pause`` or ``store.resume``: registry, operator, why, now; whether anything was changed."""


class Reason(BaseModel):
    """The operator's reason, in free words. It is kept with the operator's name."""

    model_config = ConfigDict(extra="forbid")

    why: Why


def operating(registries: Mapping[str, Registry], reads: Reads, settings: Settings) -> APIRouter:
    """``GET /flows``, ``/differences`` and ``/registries``; ``POST /registries/{code}/pause`` and ``…/resume``."""
    router = APIRouter(tags=["operations"])
    clock = Clock(timedelta(seconds=settings.clock_offset))

    @router.get("/flows")
    async def flows(_: Operator, minutes: Annotated[int, Query(ge=1, le=1440)] = 60) -> dict[str, Any]:
        """Open transfers by direction, state and reason. Those that ended in the last minutes, and their latency."""
        now = clock.now()
        async with reads.sums() as db:
            found = await queries.flows(db, now, timedelta(minutes=minutes))
        return {"at": now, "open": found.open, "ended": found.ended, "by_minute": found.by_minute}

    @router.get("/differences")
    async def differences(_: Operator, limit: Annotated[int, Query(ge=0, le=500)] = 100) -> dict[str, Any]:
        """Transfers that an operator may have to settle, the oldest first: nobody can say whether their home booked
        them, or their home has left. Also how many there are in all, and the contradicting receipts of the last day."""
        async with reads.sums() as db:
            total, uncertain, conflicts = await queries.differences(db, clock.now(), limit, list(registries))
        return {"total": total, "uncertain": uncertain, "conflicts": conflicts}

    _of_registries(router, registries, reads.pool, clock)
    return router


def _of_registries(router: APIRouter, registries: Mapping[str, Registry], pool: Pool, clock: Clock) -> None:
    @router.get("/registries")
    async def seats(_: Operator) -> dict[str, Any]:
        """Every registry of this linkage: its names, state, capability and system by its file, and whether an operator
        paused it. A registry has ``left`` when its file is gone while volunteers of it are linked; its open transfers
        stay open."""
        async with pool.acquire() as db:
            paused = await queries.pauses(db)
            left = await queries.left(db, list(registries))
        here = {code: _shown(registry, paused.get(code)) for code, registry in registries.items()}
        return here | {code: _shown_left(code, paused.get(code), still) for code, still in left.items()}

    @router.post("/registries/{code}/pause")
    async def pause(who: Operator, code: str, given: Reason) -> dict[str, Any]:
        """Read no more of this registry's messages and send it no credit. Credits that are under way already arrive;
        nothing is lost."""
        return await change(store.pause, "registry paused", who, code, given)

    @router.post("/registries/{code}/resume")
    async def resume(who: Operator, code: str, given: Reason) -> dict[str, Any]:
        """Read this registry again. Credits that waited for it are sent once the messages that came meanwhile are
        applied."""
        return await change(store.resume, "registry resumed", who, code, given)

    async def change(do: _Change, line: str, who: Principal, code: str, given: Reason) -> dict[str, Any]:
        registry = _found(registries, code)
        async with pool.acquire() as db:
            done = await do(db, code, who.name, given.why, clock.now())
            pause = (await queries.pauses(db)).get(code)
        if done:
            log().warning(line, name=code, operator=who.name)
        return _shown(registry, pause)


def _found(registries: Mapping[str, Registry], code: str) -> Registry:
    found = registries.get(code)
    if found is None:
        raise HTTPException(404, "no registry of this code takes part")
    return found


def _shown(registry: Registry, pause: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "names": {"zh": registry.names.zh, "en": registry.names.en},
        "state": registry.state,
        "capability": registry.capability,
        "system": registry.system.kind,
        "paused": _paused(pause),
        "open": None,
    }


def _shown_left(code: str, pause: dict[str, Any] | None, still: list[dict[str, Any]]) -> dict[str, Any]:
    """``open``: open transfers to this registry, by host, state and reason."""
    return {
        "names": {"zh": code, "en": code},
        "state": "left",
        "capability": None,
        "system": None,
        "paused": _paused(pause),
        "open": still,
    }


def _paused(pause: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if pause is None else {name: pause[name] for name in ("operator", "why", "since", "resumed_at")}


def heard_out(
    seen: dict[tuple[str, datetime], datetime],
    resumed: Iterable[tuple[str, datetime]],
    heard: Heard,
    now: datetime,
) -> list[tuple[str, datetime]]:
    """The resumptions after which all is applied that the registry had said. ``seen``: when this process saw each.

    Reckoned from that moment: this process takes the ends of the logs after it, by its own clock. If that clock was set
    back since, the ends are taken anew.
    """
    current = {pause: min(seen.get(pause, now), now) for pause in resumed}
    seen.clear()
    seen.update(current)
    return [pause for pause, since in seen.items() if heard(_all_of(pause[0]), since) is not None]


def _all_of(code: str) -> str:
    return named(Channel(entry.of(code)) for entry in INBOUND)


async def end_pauses(episode: Episode, pool: Pool, heard: Heard, clock: Clock) -> None:
    """Send credits to registries that were resumed, to each once its messages of the meantime are applied."""
    seen: dict[tuple[str, datetime], datetime] = {}

    async def look() -> None:
        await asyncio.sleep(_LOOK_SECONDS)
        async with pool.acquire() as db:
            resumed = await store.resuming(db)
            for code, resumed_at in heard_out(seen, resumed, heard, clock.now()):
                if await store.end_pause(db, code, resumed_at, clock.now()):
                    log().warning("pause ended", name=code)
        episode.over()

    await persistent(look, episode)
