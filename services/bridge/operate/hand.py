"""An operator looks at one transfer, and settles it: she says what its home did with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.messages.base import Text
from contracts.messages.bridge import SettleTransfer
from services.bridge import store
from services.bridge.ledger.settling import not_settleable
from services.bridge.policy import Policy
from services.bridge.reading import queries
from services.chassis.base.clock import Clock
from services.chassis.base.http import Operator
from services.chassis.base.logs import log
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings

__all__ = ["Why", "hand"]

Why: TypeAlias = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""The operator's reason, in free words. It is kept with the operator's name."""


class Settlement(BaseModel):
    """The outcome that the home told the operator, and how it was told."""

    model_config = ConfigDict(extra="forbid")

    outcome: Annotated[Literal["credited", "refused"], Field(alias="as")]
    why: Why


def hand(policy: Policy, reads: Reads, settings: Settings) -> APIRouter:
    """``GET /transfers/{id}`` and ``POST /transfers/{id}/settle``, for operators."""
    router = APIRouter(tags=["operations"])
    clock = Clock(timedelta(seconds=settings.clock_offset))

    @router.get("/transfers/{transfer_id}")
    async def one(_: Operator, transfer_id: UUID) -> dict[str, Any]:
        """A transfer's state, and the settlements that operators gave for it."""
        async with reads.question() as db:
            return _found(await queries.transfer(db, transfer_id))

    @router.post("/transfers/{transfer_id}/settle")
    async def settle(who: Operator, transfer_id: UUID, given: Settlement) -> dict[str, Any]:
        """Count the transfer as credited or as refused. The order is decided after all earlier messages of its record,
        as a receipt of the home would be: the host is told, and a later version goes on. 409 where the transfer cannot
        be settled."""
        async with reads.pool.acquire() as db:
            transfer = _found(await queries.transfer(db, transfer_id))
            home = policy.seat(transfer["home"]).state
            if objection := not_settleable(transfer["state"], transfer["attempts"], home, given.outcome):
                raise HTTPException(409, objection)
            order = SettleTransfer(
                host=transfer["host"],
                record_ref=transfer["record_ref"],
                transfer_id=transfer_id,
                outcome=given.outcome,
            )
            await store.settle(db, order, transfer_id, given.outcome, who.name, given.why, clock.now())
            log().warning("transfer settled by an operator", subject=str(transfer_id), operator=who.name)
            return _found(await queries.transfer(db, transfer_id))

    return router


def _found(transfer: dict[str, Any] | None) -> dict[str, Any]:
    if transfer is None:
        raise HTTPException(404, "no transfer of this id")
    return transfer
