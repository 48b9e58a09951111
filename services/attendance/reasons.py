"""Why attendance holds a record, and why it does not follow a command: closed lists."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

__all__ = ["REVIEWABLE", "CommandRefusal", "HoldReason"]

HoldReason: TypeAlias = Literal[
    "no_signup",
    "no_evidence",
    "outside_shift",
    "no_check_in",
    "no_check_out",
    "beyond_presence",
    "too_short",
    "too_late",
    "needs_review",
    "review_rejected",
    "duplicate",
    "overlap",
    "travel",
    "over_cap",
]
"""Why a version does not count yet."""
CommandRefusal: TypeAlias = Literal[
    "no_signup",
    "no_check_in",
    "stay_closed",
    "too_many_check_ins",
    "other_person",
    "version_conflict",
    "too_many_records",
    "no_record",
    "other_version",
    "not_held",
    "not_reviewable",
    "no_attester",
    "self_review",
    "tier_too_low",
]
"""Why a command is not followed."""
REVIEWABLE: Final[frozenset[HoldReason]] = frozenset(
    (
        *("outside_shift", "no_check_in", "no_check_out", "beyond_presence", "too_short", "too_late", "needs_review"),
        *("review_rejected", "travel", "over_cap"),
    )
)
"""Reasons of a held version about which a person may decide. Of the others a fact decides: a right, a time that is
taken already, evidence that is missing."""
