"""The operator's part of a service's HTTP face: messages set aside, what is released and what is discarded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.messages.base import Text
from services.chassis.aside.quarantine import Quarantine
from services.chassis.base.http import Operator

__all__ = ["operations"]

_LARGEST = 2**63 - 1
_AT_ONCE = 500

After = Annotated[int, Query(ge=0, le=_LARGEST)]
Limit = Annotated[int, Query(ge=1, le=_AT_ONCE)]


class _Kept(BaseModel):
    seq: int
    reason: str
    subject: str | None
    topic: str
    partition: int
    offset: int
    last_offset: int | None
    """Of a record or batch that is not kept whole: the last offset,"""
    size: int | None
    """how many bytes it had,"""
    digest: str | None
    """and their digest (BLAKE2b, 16 bytes, hexadecimal). Only its first bytes are kept, so it cannot be released."""
    detail: str | None
    attempts: int
    received_at: datetime


class Message(_Kept):
    """A message set aside: its place in the log, and why it is not applied."""

    fact: str | None
    deadline: datetime | None


class Gone(_Kept):
    """A message that was discarded, by whom, when and why."""

    discarded_at: datetime
    discarded_by: str
    why: str


class _Page(BaseModel):
    next: int | None
    """Goes into ``after``; null on the last page."""

    @classmethod
    def of(cls, rows: list[dict[str, Any]], limit: int, **more: Any) -> Self:
        """Make a page of rows. There is one row more than the page holds if another page follows."""
        shown = rows[:limit]
        return cls.model_validate({"messages": shown, "next": shown[-1]["seq"] if len(rows) > limit else None, **more})


class Standing(_Page):
    """A page of messages set aside, in order, and how many there are in all by reason."""

    summary: dict[str, int]
    messages: list[Message]


class Discarded(_Page):
    """A page of what was discarded, in order."""

    messages: list[Gone]


class Kept(BaseModel):
    """A message that stays as it is, and why."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    error: str
    """unknown, under_way, not_whole, not_read, reused_id, or why it is not in the contract even now."""
    detail: str


class Chosen(BaseModel):
    """Messages by their sequence."""

    model_config = ConfigDict(extra="forbid")

    sequences: Annotated[list[Annotated[int, Field(ge=1, le=_LARGEST)]], Field(min_length=1, max_length=_AT_ONCE)]


class ChosenToGo(Chosen):
    """The same, with the reason that stays on record."""

    why: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class ReleaseAnswer(BaseModel):
    """What became of the messages to release, by sequence."""

    model_config = ConfigDict(from_attributes=True)

    released: list[int]
    """In the queue of their subjects, to be decided."""
    repeats: list[int]
    """Deleted here, since the same message has come in by itself meanwhile."""
    kept: list[Kept]


class DiscardAnswer(BaseModel):
    """What became of the messages to discard."""

    discarded: list[int]
    kept: list[Kept]


def operations(quarantine: Quarantine) -> APIRouter:
    """What an operator can see and do about messages set aside."""
    router = APIRouter(prefix="/operations", tags=["operations"])

    @router.get("/set-aside")
    async def standing(
        _: Operator,
        reason: Annotated[str | None, Query(max_length=40)] = None,
        after: After = 0,
        limit: Limit = 100,
    ) -> Standing:
        """Messages set aside, of one reason or of all."""
        rows = await quarantine.listing(reason, after, limit + 1)
        return Standing.of(rows, limit, summary=await quarantine.summary())

    @router.get("/discarded")
    async def discarded(_: Operator, after: After = 0, limit: Limit = 100) -> Discarded:
        """What was discarded, by whom, when and why."""
        return Discarded.of(await quarantine.discarded(after, limit + 1), limit)

    @router.post("/set-aside/release")
    async def release(who: Operator, chosen: Chosen) -> ReleaseAnswer:
        """Decide quarantined messages again, in order, and then the messages behind them."""
        return ReleaseAnswer.model_validate(await quarantine.release(chosen.sequences, who.name))

    @router.post("/set-aside/discard")
    async def discard(who: Operator, chosen: ChosenToGo) -> DiscardAnswer:
        """Give quarantined messages up for good, on record. The messages behind them go on."""
        gone, kept = await quarantine.discard(chosen.sequences, who.name, chosen.why)
        return DiscardAnswer(discarded=gone, kept=[Kept.model_validate(one) for one in kept])

    return router
