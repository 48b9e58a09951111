"""The file of a registry, ``deploy/registries/<code>.yaml``: one seat in the linkage as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.messages.base import RegistryCode
from contracts.policy import AsHome, AsHost
from contracts.urls import require_url

__all__ = ["Capability", "Dated", "LateBy", "Registry", "System", "Values", "policy_of"]

Capability = Literal["idempotent", "queryable", "neither"]
"""What the registry's ledger can do with a transfer id after a lost answer: take it again without posting twice, say
whether it was posted, or neither (then the credit is never sent twice)."""


class Names(BaseModel):
    """The names of the registry for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str
    en: str


class System(BaseModel):
    """The software in a seat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """The name of the software; for a system that an adapter calls, one of the adapters' kinds."""
    address: str | None = None
    """Base URL at which the registry's adapter calls the system. Without it the registry reads and writes its topics
    itself, and has no adapter."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_map(cls, given: object) -> object:
        if isinstance(given, str):
            raise ValueError("is a map of kind and address: {kind: rest_api, address: http://HOST:PORT}, or {kind: …}")
        return given

    @field_validator("address")
    @classmethod
    def _can_be_called(cls, given: str | None) -> str | None:
        if given is None:
            return None
        require_url(given)
        parts = urlsplit(given)
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a name or a password; credentials are the adapter's, not in this file")
        return given


Dated: TypeAlias = Literal["links", "signups", "presence", "attestations"]
"""The kinds of a registry's messages whose age is limited."""
_DATED: Final[tuple[Dated, ...]] = get_args(Dated)
_UNLIMITED: Final = "unlimited"
_AGE: Final = re.compile(r"([1-9][0-9]{0,3})([hd])")


def _require_age(given: str) -> str:
    if given != _UNLIMITED and _AGE.fullmatch(given) is None:
        raise ValueError("is neither a time in hours or days, such as 24h or 7d, nor the word unlimited")
    return given


_Age: TypeAlias = Annotated[str, AfterValidator(_require_age)]


class LateBy(BaseModel):
    """How much older than its arrival a registry's message may be, by its kind: hours or days (``24h``, ``7d``), or the
    word ``unlimited``. For a kind that is missing the value here counts.

    Receipts, and whatever only takes something back, may have any age.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    links: _Age = "24h"
    """LinkOffered, LinkRequested, LinkRestored, ConsentGiven."""
    signups: _Age = "24h"
    """SignupRequested, SignupReported."""
    presence: _Age = "7d"
    """CheckedIn, CheckedOut. Their ``at`` may be as old as the message may be, and no older."""
    attestations: _Age = "30d"
    """ServiceAttested, ServiceReviewed."""

    def of(self, kind: Dated) -> timedelta | None:
        """The limit of a kind; None: unlimited."""
        said: str = getattr(self, kind)
        found = _AGE.fullmatch(said)
        return None if found is None else timedelta(**{{"h": "hours", "d": "days"}[found[2]]: int(found[1])})


class Values(BaseModel):
    """One version of a seat's policy. For a value that is missing the linkage's own value counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    valid_from: AwareDatetime
    """It counts from this moment until the next version."""
    receipt_due_seconds: Annotated[float, Field(gt=0, le=86400)] | None = None
    """Time limit of a receipt, in seconds. After it the bridge sends the credit again to an idempotent home, asks a
    queryable home, and calls the transfer uncertain at any other."""
    late_by: LateBy = LateBy()
    """How old its messages may be when they come."""
    as_host: AsHost | None = None
    """What the seat asks of service in its own shifts. None: a sign-up and a check-in of that day are enough."""
    as_home: AsHome | None = None
    """What the seat asks of the hours of its own volunteers. None: the linkage's cap of a day alone."""


class Registry(BaseModel):
    """One seat. Swapping the ``system`` in it changes this file only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: RegistryCode
    names: Names
    division_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    state: Literal["active", "paused", "closed"] = "active"
    """paused: no message of it is read and no credit is sent to it; both wait. Notices still go to it. closed: it can
    begin nothing new and no credit is sent to it, but it can take back consent, a link, a post or minutes, and its
    answers count."""
    capability: Capability
    system: System
    shown_rounding_minutes: Annotated[int, Field(ge=1, le=60)] = 1
    """The minutes to which the registry's own pages round; what is posted is never rounded (rule 75)."""
    settles_within_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    """The longest that the ledger works on one credit after its client has gone. Until then a queryable registry's
    "never seen" may yet become a posting, so it is not believed."""
    policy: tuple[Values, ...] = ()
    """Versions in the order of ``valid_from``. Before the first one the linkage's settings hold, and messages may have
    any age."""

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

    def of_any_age(self, moment: datetime) -> str | None:
        """Which of its messages may have any age at this moment, and why, as a sentence; None: each kind has a
        limit."""
        values = self.policy_at(moment)
        if values is None:
            return "its messages may have any age: no version of its policy is in force"
        free = [kind for kind in _DATED if values.late_by.of(kind) is None]
        return f"these of its messages may have any age, as its policy says: {', '.join(free)}" if free else None


def policy_of(registries: Mapping[str, Registry], code: str, moment: datetime) -> Values | None:
    """The version of this registry's policy in force at this moment; None before the first one, and where the registry
    has left."""
    registry = registries.get(code)
    return None if registry is None else registry.policy_at(moment)
