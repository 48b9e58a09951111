"""``registry.<code>.attendance.v1``: presence and service as the host attests them. Key: volunteer_ref."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field

from contracts.messages.base import EvidenceClass, Instant, Message, ReasonCode, Ref, Sha256, Value, Version

_MINUTE = timedelta(minutes=1)
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""UTC+8 without daylight saving since 1991 (rule 61)."""


@lru_cache(maxsize=4096)  # the comparison of a person's records asks for the same moments again and again
def shanghai_day(moment: datetime) -> date:
    """The Shanghai calendar day of an instant (rule 61)."""
    return moment.astimezone(SHANGHAI).date()


# Rules 61, 65-70.
class ServiceRecord(Value):
    """One person, one shift, one Shanghai day. Minutes follow from the times, never the other way.

    A service that crosses midnight is two records: ``ended_at`` is at the latest the midnight that ends
    the day of ``started_at``. ``reason_code``: why a later version was made; correction, partial_retract, retract,
    restore, or another word of the host.
    """

    record_ref: Ref
    version: Version
    project_ref: Ref
    shift_ref: Ref
    started_at: Instant
    ended_at: Instant
    break_minutes: Annotated[int, Field(ge=0, le=1440)] = 0
    evidence_class: EvidenceClass
    revoked: bool = False
    reason_code: ReasonCode | None = None
    attested_by: Ref | None = None
    evidence_digest: Annotated[
        Sha256 | None, Field(description="SHA-256 of the evidence that the host keeps. A supplement needs it.")
    ] = None

    def model_post_init(self, context: Any, /) -> None:
        """Refuse times that contradict each other. A validator would check a record again in each message around it.

        So a record from ``model_copy(update=…)`` is not checked: give it times that agree.
        """
        if self.ended_at <= self.started_at:
            raise ValueError("ended_at must be after started_at")
        if shanghai_day(self.ended_at - timedelta.resolution) != self.day:
            raise ValueError("a record lies inside one Shanghai day: split it at midnight")
        if self.span_minutes <= self.break_minutes:
            raise ValueError("break_minutes leaves no minute of service")

    @property  # not kept in the record: a changed copy would keep the day of the original
    def day(self) -> date:
        """The Shanghai day of service."""
        return shanghai_day(self.started_at)

    @property
    def span_minutes(self) -> int:
        """Whole minutes between start and end."""
        return (self.ended_at - self.started_at) // _MINUTE

    @property
    def minutes(self) -> int:
        """Service minutes: the span less breaks (rule 67). They are posted unless the record is revoked."""
        return self.span_minutes - self.break_minutes


Method = Literal["scan", "self_location", "organiser"]
"""How it was found that she was there."""
Outcome = Literal["approved", "rejected"]
"""Of a review."""
Tier = Literal["host", "parent", "province"]
"""Who decides about a held record: the host's own reviewer, its parent organisation, the province."""


class _OfPresence(Message, abstract=True):
    volunteer_ref: Ref
    project_ref: Ref
    shift_ref: Ref
    at: Instant
    method: Method

    @property
    def key(self) -> str:
        return self.volunteer_ref

    @property
    def subject(self) -> str:
        return self.shift_ref


class CheckedIn(_OfPresence):
    """Host: she was there at ``at``."""


class CheckedOut(_OfPresence):
    """Host: she left at ``at``."""


# Rule 69.
class ServiceAttested(ServiceRecord, Message):
    """Host: the whole service record in this version. A correction or revocation is a higher version."""

    volunteer_ref: Ref

    @property
    def key(self) -> str:
        """The volunteer."""
        return self.volunteer_ref

    @property
    def subject(self) -> str:
        """The record."""
        return self.record_ref


# Rules 24, 72 and 74.
class ServiceReviewed(Message):
    """Host: a person who may decide has decided about a held version. It counts for this version only, and never by
    who attested it. To approve a part, the host attests a correction instead."""

    volunteer_ref: Ref
    project_ref: Ref
    shift_ref: Ref
    record_ref: Ref
    version: Version
    reviewer: Ref
    tier: Tier
    outcome: Outcome
    reason: ReasonCode
    evidence_digest: Annotated[
        Sha256 | None, Field(description="SHA-256 of what the reviewer saw, as the host keeps it.")
    ] = None

    @property
    def key(self) -> str:
        """The volunteer."""
        return self.volunteer_ref

    @property
    def subject(self) -> str:
        """The record."""
        return self.record_ref
