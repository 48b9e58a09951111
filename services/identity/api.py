"""A host asks whether a one-time code is good, before it says anything about the person who brought the code."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel

from contracts.messages.base import Ref, RegistryCode, Sha256
from services.chassis.base.clock import Clock
from services.chassis.base.http import Principal, principal
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.identity.store import code_would_be_accepted

__all__ = ["CodeFound", "api"]


class CodeFound(BaseModel):
    """Whether a LinkRequested with this code would be answered LinkEstablished now; never why not."""

    stands: bool


def api(reads: Reads, settings: Settings) -> APIRouter:
    """``GET /codes/{code_hash}?home=&home_ref=&host=`` for the host to which the code was brought."""
    router = APIRouter(tags=["identity"])
    clock = Clock(timedelta(seconds=settings.clock_offset))

    @router.get("/codes/{code_hash}")
    async def code(
        who: Annotated[Principal, Depends(principal)],
        code_hash: Sha256,
        home: Annotated[RegistryCode, Query()],
        home_ref: Annotated[Ref, Query()],
        host: Annotated[RegistryCode, Query()],
    ) -> CodeFound:
        """Whether the home has offered this volunteer to this host with this code (its SHA-256 in lower-case hex), the
        offer has not run out, and nobody has used it. An offer may be on its way: ask again for some seconds."""
        if not who.may_read("registry", host):
            raise HTTPException(403, "a registry asks about codes that were brought to itself only")
        async with reads.question() as db:
            return CodeFound(stands=await code_would_be_accepted(db, home, home_ref, host, code_hash, clock.now()))

    return router
