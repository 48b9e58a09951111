"""What the organiser's form offers for somebody's service, from her presence: its times, and the class of its
evidence; and what the organiser says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

from contracts.messages.base import EvidenceClass
from contracts.messages.service import SHANGHAI, shanghai_day

__all__ = ["Attest", "evidence_class", "nights", "times"]

_SHORTEST: Final = timedelta(minutes=1)
_SUPPORTED: Final = (
    ("organiser", EvidenceClass.ROSTER),
    ("self_location", EvidenceClass.SELF_LOCATION),
    ("scan", EvidenceClass.SCAN),
)
"""The class that each method of a check-in supports, the weakest first."""


@dataclass(frozen=True, slots=True)
class Attest:
    """An organiser's word on one person's service within one Shanghai day. ``record_ref`` and ``version`` are of the
    record that the organiser saw, None and 0 for none."""

    volunteer_ref: str
    record_ref: str | None
    version: int
    started_at: datetime
    ended_at: datetime
    evidence_class: EvidenceClass
    revoked: bool = False


def times(row: Mapping[str, Any], shift: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """Begin and end of the service. A record has its own times.

    Without a record the service begins with the shift, or with her check-in if that was later. It ends with the
    shift, or earlier: with her check-out, or now if she has not checked out.
    """
    if row["record_ref"] is not None:
        return row["started_at"], row["ended_at"]
    begin = max(row["came_at"] or shift["starts_at"], shift["starts_at"])
    end = min(row["left_at"] or now, shift["ends_at"])
    return begin, max(end, begin + _SHORTEST)


def nights(begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The span cut at each midnight in Shanghai: a record lies inside one day, since days have caps. A span that ends
    before it begins is not cut."""
    parts = []
    while (midnight := datetime.combine(shanghai_day(begin) + timedelta(days=1), time.min, SHANGHAI)) < end:
        parts.append((begin, midnight))
        begin = midnight
    return [*parts, (begin, end)]


def evidence_class(methods: Collection[str]) -> EvidenceClass:
    """The class that check-ins by these methods support: that of the weakest. Without a check-in there is only the
    organiser's list."""
    return next((supported for method, supported in _SUPPORTED if method in methods), EvidenceClass.ROSTER)
