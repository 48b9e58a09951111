"""A registry is data: what ``deploy/registries/<code>.yaml`` says of one seat in the linkage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.messages.base import RegistryCode

__all__ = ["Capability", "Registry"]

Capability = Literal["idempotent", "queryable", "neither"]
"""What the registry's ledger can do with a transfer id when an answer was lost: take it again without posting twice,
say whether it was posted, or neither (then nobody tries twice)."""


class Names(BaseModel):
    """How people call the registry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str
    en: str


class Registry(BaseModel):
    """One seat. ``system`` names the software in it; swapping it changes this file only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: RegistryCode
    names: Names
    division_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    state: Literal["active", "paused", "closed"] = "active"
    """paused: nothing is admitted nor sent, what arrives waits; closed: nothing new of it is admitted and no credit is
    sent to it, but what it takes back (consent, a tie, a post, minutes) and what it answers counts."""
    capability: Capability
    system: str
    shown_rounding_minutes: Annotated[int, Field(ge=1, le=60)] = 1
    """What the registry's own pages round to; never what is posted (rule 75)."""
    settles_within_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    """The longest that the ledger works on one credit after its client has gone. Until then a queryable registry's
    "never seen" may yet become a posting, so it is not believed."""
