"""An operator's hand on one transfer: what stands of it, and a word on what its home did with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.messages.base import Text
from contracts.messages.bridge import SettleTransfer
from services.bridge import books, store
from services.bridge.policy import Policy
from services.bridge.rules.settling import not_settleable
from services.chassis.clock import Clock
from services.chassis.http import Operator
from services.chassis.logs import log
from services.chassis.reading import Reads
from services.chassis.settings import Settings

__all__ = ["Why", "hand"]

Why: TypeAlias = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""In the operator's words; it stays on record with her name."""


class Settlement(BaseModel):
    """What the home says that it did with the transfer, and how the operator knows."""

    model_config = ConfigDict(extra="forbid")

    outcome: Annotated[Literal["credited", "refused"], Field(alias="as")]
    why: Why


def hand(policy: Policy, reads: Reads, settings: Settings) -> APIRouter:
    """``GET /transfers/{id}`` and ``POST /transfers/{id}/settle``, for operators."""
    router = APIRouter(tags=["operations"])
    clock = Clock(timedelta(seconds=settings.clock_offset))

    @router.get("/transfers/{transfer_id}")
    async def one(_: Operator, transfer_id: UUID) -> dict[str, Any]:
        """How a transfer stands, and what operators said of it."""
        async with reads.question() as db:
            return _known(await books.transfer(db, transfer_id))

    @router.post("/transfers/{transfer_id}/settle")
    async def settle(who: Operator, transfer_id: UUID, given: Settlement) -> dict[str, Any]:
        """Count it as credited or as refused. It is decided in the line of its record, like a receipt of the home: the
        host is told, and a later version goes on. 409 where nothing is to be settled."""
        async with reads.pool.acquire() as db:
            known = _known(await books.transfer(db, transfer_id))
            home = policy.seat(known["home"]).state
            if objection := not_settleable(known["state"], known["attempts"], home, given.outcome):
                raise HTTPException(409, objection)
            order = SettleTransfer(
                host=known["host"], record_ref=known["record_ref"], transfer_id=transfer_id, outcome=given.outcome
            )
            await store.settle(db, order, transfer_id, given.outcome, who.name, given.why, clock.now())
            log().warning("transfer settled by an operator", subject=str(transfer_id), operator=who.name)
            return _known(await books.transfer(db, transfer_id))

    return router


def _known(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        raise HTTPException(404, "no transfer of this id")
    return found
