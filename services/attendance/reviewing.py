"""A person decides about a held version of a record: pure decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, get_args

from contracts.messages import attendance as messages
from contracts.messages.service import Tier
from services.attendance.policy import Policy
from services.attendance.reasons import CommandRefusal
from services.attendance.rules import refused
from services.attendance.states import Standing
from services.attendance.working_copy import WorkingCopy
from services.chassis.decisions import Decision, Inbound, States
from services.chassis.draft import Draft

__all__ = ["review"]

_TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
"""From the lowest to the highest."""


def review(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Confirm a held version that a person approved, or leave it held, for its next obstacle or for good.

    Who attested a version never decides about it, and a reason needs its tier (rules 72 and 74). A review is of its
    version alone: a later version is judged anew.
    """
    command: messages.ReviewService = inbound.data
    row = states.get(Standing, (command.host, command.record_ref))
    if row is None:
        return refused(command, "no_record")
    copy = WorkingCopy(Draft(inbound, now), states, command.person, policy)
    if reason := _objection(command, row, copy):
        return refused(command, reason)
    approved = command.outcome == "approved"
    row = replace(row, reviewed_version=row.version, reviewed_by=command.tier, approved=approved)
    record = row.record()
    copy.decide(row, record, copy.obstacle(row, record))
    copy.decide_again()
    return copy.decision()


def _objection(command: messages.ReviewService, row: Standing, copy: WorkingCopy) -> CommandRefusal | None:
    """Why this person may not decide so."""
    if row.person != command.person:
        return "other_person"
    if row.version != command.version:
        return "other_version"
    if row.held_for is None:
        return "not_held"
    needed = copy.tier_for(row, row.held_for)
    if needed is None:
        return "not_reviewable"
    attester = row.record().attested_by
    if attester is None:
        return "no_attester"
    if attester == command.reviewer:
        return "self_review"
    least = max(needed, row.rejected_by or needed, key=_TIERS.index)
    return "tier_too_low" if _TIERS.index(command.tier) < _TIERS.index(least) else None
