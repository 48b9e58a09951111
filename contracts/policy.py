"""What one seat asks of service: as the host in whose shifts people serve, and as the home that keeps their hours.

Both are parts of a version of the seat's policy in ``deploy/registries/<code>.yaml``. All values are whole and bounded.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.messages.base import EvidenceClass

__all__ = ["AsHome", "AsHost"]

_Minutes: TypeAlias = Annotated[int, Field(ge=0, le=1440)]
_Days: TypeAlias = Annotated[int, Field(ge=1, le=366)]


# Rules 23, 66, 68, 73 and 74.
class AsHost(BaseModel):
    """What this registry asks of service in its own shifts. A record that does not fit is held, and is never cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    early_minutes: _Minutes = 30
    """How long before the shift's start a service may begin."""
    late_minutes: _Minutes = 30
    """How long after the shift's end a service may end."""
    clock_minutes: Annotated[int, Field(ge=0, le=60)] = 10
    """How far a service may reach beyond her presence at each end: two clocks may differ."""
    check_out_minutes: _Minutes = 120
    """How long after the shift's end a check-out is believed. Then the stay counts as one without a check-out."""
    least_minutes: _Minutes = 15
    """A service of fewer minutes needs a person's decision."""
    least_percent: Annotated[int, Field(ge=0, le=100)] = 60
    """A service of a smaller part of the shift needs a person's decision. Of a shift with more than eight hours on one
    day, eight hours are the whole."""
    without_review: tuple[EvidenceClass, ...] = (EvidenceClass.SCAN,)
    """The evidence classes that count without a person's decision."""
    record_days: _Days = 30
    """How long after the shift's end a version of a record may be attested."""
    supplement_days: _Days = 30
    """The same for records that are entered later by hand (``supplement``)."""

    @property
    def early(self) -> timedelta:
        """``early_minutes`` as a length of time."""
        return timedelta(minutes=self.early_minutes)

    @property
    def late(self) -> timedelta:
        """``late_minutes`` as a length of time."""
        return timedelta(minutes=self.late_minutes)

    @property
    def clock(self) -> timedelta:
        """``clock_minutes`` as a length of time."""
        return timedelta(minutes=self.clock_minutes)

    @property
    def check_out_within(self) -> timedelta:
        """``check_out_minutes`` as a length of time."""
        return timedelta(minutes=self.check_out_minutes)

    def recorded_within(self, evidence: EvidenceClass) -> timedelta:
        """How long after the shift's end a record of this class may be attested."""
        days = self.supplement_days if evidence is EvidenceClass.SUPPLEMENT else self.record_days
        return timedelta(days=days)


# Rules 71 and 72.
class AsHome(BaseModel):
    """What this registry asks of the hours of its own volunteers, in whichever registries they serve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day_minutes: Annotated[int, Field(ge=1, le=1440)] = 480
    """Minutes of a Shanghai day that count without a person's decision."""
    parent_day_minutes: Annotated[int, Field(ge=1, le=1440)] = 720
    """Minutes of a day that the parent organisation may approve. Beyond these the province decides."""
    travel_minutes: Annotated[int, Field(ge=0, le=720)] = 60
    """The least time between services in two registries."""

    @model_validator(mode="after")
    def _tiers_rise(self) -> AsHome:
        if self.parent_day_minutes < self.day_minutes:
            raise ValueError("parent_day_minutes is less than day_minutes")
        return self

    @property
    def travel(self) -> timedelta:
        """``travel_minutes`` as a length of time."""
        return timedelta(minutes=self.travel_minutes)
