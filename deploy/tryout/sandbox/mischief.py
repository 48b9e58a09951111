"""The registry misbehaves on request, so that a linkage can be tested against faults of real registries."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.tryout.sandbox.credentials import bearer_of
from deploy.tryout.sandbox.settings import SandboxSettings

__all__ = ["Mischief", "Refusing", "mischief_routes"]

Count = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=3600)]


class Refusing(BaseModel):
    """Refuse the next ``n`` credits, for this reason."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    retry: bool = False
    n: Count = 1


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    commit_and_lose_answer: Count | None = None
    answer_twice: Count | None = None
    commit_after_seconds: Seconds | None = None
    down_for_seconds: Seconds | None = None
    refuse: Refusing | None = None
    leave_alone_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None


class Mischief:
    """The misbehaviour that is still to come. It is kept in memory, so a registry that is started again behaves
    well."""

    def __init__(self) -> None:
        self.lose = 0
        self.twice = 0
        self.refusing: Refusing | None = None
        self._commit_after = 0.0
        self._down_until = 0.0
        self._asking = 0
        self._asked_until = 0.0
        self._came_too_early = 0

    def asks_for(self) -> int | None:
        """The seconds for which the linkage is asked not to call. This is said once, and earlier calls are counted."""
        now = time.monotonic()
        if self._asking:
            seconds, self._asking = self._asking, 0
            self._asked_until = now + seconds
            return seconds
        if now < self._asked_until:
            self._came_too_early += 1
        return None

    @property
    def down(self) -> bool:
        """Whether the registry takes nothing from the linkage at present."""
        return time.monotonic() < self._down_until

    def copies(self) -> int:
        """How many answers a credit gets that was just posted: one, or on request none or two."""
        if self.lose:
            self.lose -= 1
            return 0
        if self.twice:
            self.twice -= 1
            return 2
        return 1

    def delay(self) -> float:
        """The seconds for which the ledger delays the posting of the credit that just came. On request, once."""
        seconds, self._commit_after = self._commit_after, 0.0
        return seconds

    def refusal(self) -> Refusing | None:
        """The reason for which the next new credit is refused; None if it is not refused."""
        if self.refusing is None or not self.refusing.n:
            return None
        self.refusing = self.refusing.model_copy(update={"n": self.refusing.n - 1})
        return self.refusing

    def request(self, wanted: _Request) -> None:
        """Change the named kinds of misbehaviour; the others stay."""
        if wanted.commit_and_lose_answer is not None:
            self.lose = wanted.commit_and_lose_answer
        if wanted.answer_twice is not None:
            self.twice = wanted.answer_twice
        if wanted.commit_after_seconds is not None:
            self._commit_after = wanted.commit_after_seconds
        if wanted.down_for_seconds is not None:
            self._down_until = time.monotonic() + wanted.down_for_seconds
        if wanted.leave_alone_seconds is not None:
            self._asking = wanted.leave_alone_seconds
        if wanted.refuse is not None:
            self.refusing = wanted.refuse

    def state(self) -> dict[str, object]:
        """The misbehaviour that is still to come."""
        left = self.refusing if self.refusing and self.refusing.n else None
        return {
            "commit_and_lose_answer": self.lose,
            "answer_twice": self.twice,
            "commit_after_seconds": self._commit_after,
            "down_for_seconds": round(max(0.0, self._down_until - time.monotonic()), 3),
            "leave_alone_seconds": self._asking,
            "came_too_early": self._came_too_early,
            "refuse": left.model_dump() if left else None,
        }


def mischief_routes(mischief: Mischief, settings: SandboxSettings) -> APIRouter:
    """``GET`` and ``POST /misbehave``, for the bearer of the system's token. Production has neither."""
    router = APIRouter(dependencies=[Depends(bearer_of(settings.system_token))])
    if settings.profile == "production":
        return router

    @router.get("/misbehave")
    async def state() -> dict[str, object]:
        return mischief.state()

    @router.post("/misbehave")
    async def request(request: Request) -> dict[str, object]:
        try:
            # Not as a parameter: FastAPI would read the body before it asks for the token.
            wanted = _Request.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_input=False)[0]["msg"]) from None
        mischief.request(wanted)
        return mischief.state()

    return router
