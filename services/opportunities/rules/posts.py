"""Posts are given and handed on. No other module gives a post."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from heapq import nsmallest

from contracts.messages import opportunities as messages
from services.chassis.decisions import States
from services.chassis.draft import Draft
from services.opportunities.rules.leaving import end_of_line
from services.opportunities.rules.telling import EVENT_OF_STATE, Asked, signup_of, tell, tell_all
from services.opportunities.states import Outcome, Shift, Signup

__all__ = ["give", "promote"]


def give(draft: Draft, command: Asked, shift: Shift) -> bool:
    """Give a post or a place in line. False when there is neither.

    Sign-ups in line come first, even where a post is free that came back too late to be handed on.
    """
    decision, now = draft.inbound.own_id, draft.now
    if shift.free and not shift.waitlisted:
        shift, position = replace(shift, confirmed=shift.confirmed + 1), None
        outcome = Outcome.post(decision, command.signup_id, "confirmed", shift, now)
    elif shift.waitlisted < shift.waitlist_posts:
        position = shift.last_position + 1
        shift = replace(shift, waitlisted=shift.waitlisted + 1, last_position=position)
        outcome = Outcome(decision, command.signup_id, "waitlisted", None, now)
        end_of_line(draft, shift, command.origin)
    else:
        return False
    given = signup_of(command, shift, "confirmed" if position is None else "waitlisted", position=position)
    for row in (shift, given, outcome):
        draft.change(row)
    tell(draft, EVENT_OF_STATE[given.state], command, given)
    return True


def promote(draft: Draft, states: States, shift: Shift, leaving: Sequence[Signup]) -> None:
    """Hand free posts to the heads of the line, in order, while the shift is open and has not started.

    A sign-up in line occupies its window already, so a promotion cannot clash.
    """
    if shift.state != "open" or draft.inbound.time >= shift.starts_at or not (shift.free and shift.waitlisted):
        return draft.change(shift)
    gone = {signup.signup_id for signup in leaving}
    line = [signup for signup in states.group(Signup, "in_line", shift.key) if signup.signup_id not in gone]
    heads = nsmallest(min(shift.free, shift.waitlisted), line, key=lambda signup: signup.position or 0)
    promoted = [replace(head, state="confirmed", position=None) for head in heads]
    outcomes = []
    for head in promoted:
        shift = replace(shift, confirmed=shift.confirmed + 1, waitlisted=shift.waitlisted - 1)
        outcomes.append(Outcome.post(draft.inbound.own_id, head.signup_id, "promoted", shift, draft.now))
    for row in (shift, *promoted, *outcomes):
        draft.change(row)
    for signup in promoted:
        tell_all(draft, messages.SignupPromoted, signup)
    return None
