"""Questions to the border: where are my hours, and how many minutes went from registry to registry."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query

from services.bridge.reading import queries
from services.bridge.reading.answers import timeline
from services.chassis.base.clock import Clock
from services.chassis.base.http import Operator, Principal, principal
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings

__all__ = ["api"]

MINUTES: Final = ("confirmed", "credited", "withheld", "refused", "uncertain", "in_flight", "held")


def api(reads: Reads, settings: Settings) -> APIRouter:
    """``GET /timeline`` for the registry whose volunteer it is, ``GET /figures`` for operators."""
    router = APIRouter(tags=["bridge"])
    clock = Clock(timedelta(seconds=settings.clock_offset))

    @router.get("/timeline")
    async def hours(
        who: Annotated[Principal, Depends(principal)],
        registry: Annotated[str, Query(max_length=8)],
        ref: Annotated[str, Query(max_length=64)],
    ) -> dict[str, Any]:
        """Links, sign-ups and services of the volunteer ``ref`` of ``registry``, and who must act next."""
        if not who.may_read("registry", registry):
            raise HTTPException(403, "a registry asks about its own volunteers only")
        async with reads.question() as db:
            person = await queries.history(db, registry, ref)
        if person is None:
            raise HTTPException(404, "no linked volunteer of this number")
        viewer = None if who.kind == "operator" else registry
        shown = timeline(
            viewer, person.links, person.consents, person.services, person.transfers, person.steps, clock.now()
        )
        return {"registry": registry, "ref": ref, **shown}

    @router.get("/figures")
    async def sums(_: Operator) -> dict[str, Any]:
        """Minutes per direction by state, refusals by registry and reason, people linked."""
        async with reads.sums() as db:
            found = await queries.figures(db)
        refusals: dict[str, dict[str, int]] = {}
        for code, reason, count in found.refusals:
            refusals.setdefault(code, {})[reason] = count
        directions = {
            f"{row['host']}->{row['home']}": {
                "service_records": row["service_records"],
                "minutes": {name: int(row[name]) for name in MINUTES},
            }
            for row in found.directions
        }
        return {"people": {"linked": found.linked}, "directions": directions, "refusals": refusals}

    return router
