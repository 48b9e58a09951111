"""Whether a record fits its shift, her presence and its evidence: what the host's policy asks. Pure.

The linkage never alters a host's minutes. A record that does not fit is held, with the first reason that holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, TypeAlias

from contracts.messages.base import EvidenceClass
from contracts.messages.service import SHANGHAI, Method, ServiceRecord
from contracts.policy import AsHost
from services.attendance.reasons import HoldReason
from services.attendance.states import Presence, Signup

__all__ = ["misfit"]

_Stay: TypeAlias = tuple[datetime, datetime]

_CLASS: Final[dict[Method, EvidenceClass]] = {
    "scan": EvidenceClass.SCAN,
    "self_location": EvidenceClass.SELF_LOCATION,
    "organiser": EvidenceClass.ROSTER,
}
"""The evidence class that a method of presence supports."""
_WHOLE_DAY: Final = timedelta(hours=8)
"""Of a shift that takes more of a day, nobody is expected to serve more."""
_MINUTE: Final = timedelta(minutes=1)


def misfit(
    record: ServiceRecord, said_at: datetime, signup: Signup | None, stays: Sequence[Presence], asked: AsHost | None
) -> HoldReason | None:
    """Why this version does not fit; None where it fits.

    ``said_at``: when it was attested. ``stays``: of its sign-up, on its day. A record of a sign-up without a window is
    compared with presence and evidence alone. ``asked``: None where the host asks for a check-in of the day and for
    nothing else.
    """
    if asked is None:
        return None if any(stay.covers(record.day) for stay in stays) else "no_check_in"
    supplement = record.evidence_class is EvidenceClass.SUPPLEMENT
    if supplement and (record.evidence_digest is None or record.reason_code is None):
        return "no_evidence"
    window = _window(signup)
    # Entered later by hand, no minute before or after the shift is believed (rule 74).
    early, late = (timedelta(0), timedelta(0)) if supplement else (asked.early, asked.late)
    if window is not None and not _within(record, window[0] - early, window[1] + late):
        return "outside_shift"
    if not stays:
        return "no_check_in"
    if reason := _beyond(record, stays, asked.clock):
        return reason
    if record.minutes < _least(record, window, asked):
        return "too_short"
    ended = record.ended_at if window is None else window[1]
    if said_at > ended + asked.recorded_within(record.evidence_class):
        return "too_late"
    return None if _classes(record, stays) <= set(asked.without_review) else "needs_review"


def _window(signup: Signup | None) -> _Stay | None:
    """The shift's window, which ends earlier for a person whose sign-up ended earlier: her shift was cancelled then."""
    if signup is None or signup.starts_at is None or signup.ends_at is None:
        return None
    ended = signup.ends_at if signup.active or signup.served_until is None else signup.served_until
    return signup.starts_at, min(signup.ends_at, ended)


def _within(record: ServiceRecord, first: datetime, last: datetime) -> bool:
    return first <= record.started_at and record.ended_at <= last


def _beyond(record: ServiceRecord, stays: Sequence[Presence], clock: timedelta) -> HoldReason | None:
    """Why presence does not support these minutes: she was not there at their begin or end, or not for so long in all
    stays together (rule 68)."""
    ended = [(stay.came_at, stay.left_at) for stay in stays if stay.left_at is not None]
    if ended:
        first, last = min(came for came, _ in ended), max(left for _, left in ended)
        there = _together(ended, record.started_at - clock, record.ended_at + clock)
        if _within(record, first - clock, last + clock) and record.minutes * _MINUTE <= there + 2 * clock:
            return None
    return "beyond_presence" if len(ended) == len(stays) else "no_check_out"


def _together(stays: Sequence[_Stay], first: datetime, last: datetime) -> timedelta:
    """How long she was there between two moments. Stays of the same time count once: a second check-in beside an open
    stay makes nobody twice as present."""
    there, until = timedelta(0), first
    for came, left in sorted(stays):
        begin, end = max(came, until), min(left, last)
        if end > begin:
            there, until = there + (end - begin), end
    return there


def _least(record: ServiceRecord, window: _Stay | None, asked: AsHost) -> int:
    """The minutes below which a person decides (rule 73)."""
    if window is None:
        return asked.least_minutes
    begin, end = max(window[0], _midnight(record.day)), min(window[1], _midnight(record.day + timedelta(days=1)))
    part = min(max(end - begin, timedelta(0)), _WHOLE_DAY)
    # The last minutes of a night shift, after midnight, are fewer than the least, and are no reason to hold.
    return min(max(asked.least_minutes, part * asked.least_percent // 100 // _MINUTE), part // _MINUTE)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SHANGHAI)


def _classes(record: ServiceRecord, stays: Sequence[Presence]) -> set[EvidenceClass]:
    """The class that the record names, and the class of each method by which she was found to be there. So a presence
    that an organiser entered never becomes a scan because the record says scan (rule 66)."""
    methods = (method for stay in stays for method in (stay.came_by, stay.left_by) if method is not None)
    return {record.evidence_class, *(_CLASS[method] for method in methods)}
