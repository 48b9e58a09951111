"""Sign-ups that end by themselves: all of a shift that is cancelled, and those in a line that gets no post any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from contracts.messages import opportunities as messages
from contracts.messages.base import Origin
from contracts.topics import OPPORTUNITIES_COMMANDS
from services.chassis.decisions import Decision, Inbound, States
from services.chassis.draft import Draft
from services.opportunities.rules.telling import tell_end
from services.opportunities.rules.windows import decide_again
from services.opportunities.states import EndReason, Outcome, Shift, Signup, shift_name

__all__ = ["cancel", "close_waitlist", "end_of_line"]

_LATE: Final = timedelta(minutes=15)
"""A message from before the begin of a shift may come so much later, and still hand a post on."""


def cancel(draft: Draft, states: States, shift: Shift) -> None:
    """End all sign-ups of a shift that is cancelled, also after its begin: what was served until then counts.

    Their windows are free for reports that had lost to them.
    """
    emptied = replace(shift, confirmed=0, waitlisted=0, capacity=shift.posts)
    there = (signup for signup in states.group(Signup, "shift", shift.key) if signup.state != "withdrawn")
    _leave(draft, states, emptied, there, "shift_cancelled")


def close_waitlist(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """End all sign-ups in line: no post comes any more, and their windows are free."""
    draft, command = Draft(inbound, now), inbound.data
    shift = states.get(Shift, (command.host, command.project_ref, command.shift_ref))
    if shift is None or not shift.waitlisted:
        return draft.decision()
    line = states.group(Signup, "in_line", shift.key)
    _leave(draft, states, replace(shift, waitlisted=0), line, "waitlist_closed")
    return draft.decision()


def end_of_line(draft: Draft, shift: Shift, asked: Origin) -> None:
    """Set the timer that closes the line of this shift. Somebody has just joined it by the request ``asked``.

    A shift has one timer. A request of long ago that is read today gets the same quarter of an hour: a withdrawal of
    that time may follow it.
    """
    close = messages.CloseWaitlist(
        host=shift.host, project_ref=shift.project_ref, shift_ref=shift.shift_ref, origin=asked
    )
    due = max(shift.starts_at, draft.now) + _LATE
    draft.timer(f"line:{shift_name(*shift.key)}", due, OPPORTUNITIES_COMMANDS, close)


def _leave(
    draft: Draft,
    states: States,
    shift: Shift,
    leaving: Iterable[Signup],
    reason: EndReason,
) -> None:
    """``shift``: the shift without these sign-ups."""
    ordered = sorted(leaving, key=lambda signup: signup.signup_id)
    gone = [signup.ended() for signup in ordered]
    draft.change(shift)
    for signup in gone:
        draft.change(signup)
        tell_end(draft, signup, reason=reason)
    for signup in ordered:
        if signup.given:
            draft.change(Outcome(draft.inbound.own_id, signup.signup_id, "withdrawn", reason, draft.now))
    decide_again(draft, states, gone)
