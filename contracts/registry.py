"""A registry is data: what ``deploy/registries/<code>.yaml`` says of one seat in the linkage."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from contracts.messages.base import RegistryCode

__all__ = ["Capability", "Registry", "Values"]

Capability = Literal["idempotent", "queryable", "neither"]
"""What the registry's ledger can do with a transfer id when an answer was lost: take it again without posting twice,
say whether it was posted, or neither (then nobody tries twice)."""


class Names(BaseModel):
    """How people call the registry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str
    en: str


class Values(BaseModel):
    """One version of a seat's policy. What it does not say is as the linkage's settings say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    valid_from: AwareDatetime
    """From this moment on, until the next version."""
    receipt_due_seconds: Annotated[float, Field(gt=0, le=86400)] | None = None
    """After so long a credit of this home without a receipt is asked about."""


class Registry(BaseModel):
    """One seat. ``system`` names the software in it; swapping it changes this file only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: RegistryCode
    names: Names
    division_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    state: Literal["active", "paused", "closed"] = "active"
    """paused: nothing of it is read and no credit is sent to it; both wait, while notices still go to it. closed:
    nothing new of it is admitted and no credit is sent to it, but what it takes back (consent, a link, a post, minutes)
    and what it answers counts."""
    capability: Capability
    system: str
    shown_rounding_minutes: Annotated[int, Field(ge=1, le=60)] = 1
    """What the registry's own pages round to; never what is posted (rule 75)."""
    settles_within_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    """The longest that the ledger works on one credit after its client has gone. Until then a queryable registry's
    "never seen" may yet become a posting, so it is not believed."""
    policy: tuple[Values, ...] = ()
    """Versions in the order of ``valid_from``. Before the first one the linkage's settings hold."""

    @field_validator("policy")
    @classmethod
    def _in_order(cls, versions: tuple[Values, ...]) -> tuple[Values, ...]:
        for place, (before, after) in enumerate(pairwise(versions), 1):
            if after.valid_from <= before.valid_from:
                raise ValueError(f"version {place} is not valid from a later moment than the version before it")
        return versions

    def policy_at(self, moment: datetime) -> Values | None:
        """The version in force at this moment; None before the first one."""
        return next((version for version in reversed(self.policy) if version.valid_from <= moment), None)
