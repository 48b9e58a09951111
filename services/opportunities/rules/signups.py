"""Sign-ups that are asked for and given back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from contracts.messages import opportunities as messages
from contracts.topics import OPPORTUNITIES_COMMANDS
from services.chassis.decisions import Channel, Decision, Inbound, States
from services.chassis.draft import Draft
from services.opportunities.rules.posts import give, promote
from services.opportunities.rules.telling import STANDING, also_asked, command_refused, tell, tell_all
from services.opportunities.rules.windows import clashes, settle
from services.opportunities.states import Outcome, Project, Shift, Signup, SignupRefusal, shift_name

__all__ = ["request_signup", "withdraw_signup"]

ADULT_AGE: Final = 18


def request_signup(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Give a post or a place in line, or say why not. Judged at the request's time.

    Who asks for what she has already hears how it stands, under the ref of this request, and hears from then on what
    becomes of it: both apps may ask at once, and one may ask twice.
    """
    draft, command = Draft(inbound, now), inbound.data
    key = (command.host, command.project_ref, command.shift_ref)
    shift = states.get(Shift, key)
    if shift is None:
        if not inbound.waited_out:
            # A project's shifts lie in one partition with what is asked of them.
            published = Channel(OPPORTUNITIES_COMMANDS, command.key)
            draft.wait(shift_name(*key), brought_by=(published,))
            return draft.decision()
        return _refuse(draft, command, None, "shift_unknown")
    held = states.get(Signup, command.signup_id)
    if held is not None and held.active:
        kept = also_asked(held, command)
        if kept is None:
            return _refuse(draft, command, shift, "already_signed_up")
        if kept is not held:
            draft.change(kept)
        tell(draft, STANDING[held.state], command, held)
        return draft.decision()
    reason = _objection(states, inbound, command, shift)
    if reason is not None:
        return _refuse(draft, command, shift, reason)
    return draft.decision() if give(draft, command, shift) else _refuse(draft, command, shift, "full")


def withdraw_signup(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Take a post, a place in line or a report back; what is free now goes to the head of the line and to reports.

    The post goes to whoever stands first in line, the window to reports of hers that had lost to it.
    """
    draft, command = Draft(inbound, now), inbound.data
    held = states.get(Signup, command.signup_id)
    if held is None or held.state == "withdrawn":
        return command_refused(draft, "no_signup")
    gone = held.ended()
    draft.change(gone)
    tell_all(draft, messages.SignupWithdrawn, held, command)
    shift = states.get(Shift, held.shift)
    if shift is not None and held.given:
        draft.change(Outcome(inbound.own_id, gone.signup_id, "withdrawn", None, now))
        promote(draft, states, _without(shift, held), (held,))
    settle(draft, states, (gone,))
    return draft.decision()


def _without(shift: Shift, held: Signup) -> Shift:
    if held.state == "waitlisted":
        return replace(shift, waitlisted=shift.waitlisted - 1)
    confirmed = shift.confirmed - 1
    return replace(shift, confirmed=confirmed, capacity=max(shift.posts, confirmed))


def _objection(states: States, inbound: Inbound, command: messages.RequestSignup, shift: Shift) -> SignupRefusal | None:
    if shift.state == "cancelled":
        return "shift_cancelled"
    project = states.get(Project, (command.host, command.project_ref))
    if project is not None and project.state == "closed":
        return "not_open"
    if not shift.signup_opens_at <= inbound.time < min(shift.signup_closes_at, shift.starts_at):
        return "not_open"
    if command.age_band.youngest < shift.minimum_age:
        return "too_young"
    if command.age_band.youngest < ADULT_AGE and not command.guardian_approved:
        return "guardian_missing"
    if clashes(states.group(Signup, "person", command.person), command.signup_id, shift.starts_at, shift.ends_at):
        return "clash"
    return None


def _refuse(draft: Draft, command: messages.RequestSignup, shift: Shift | None, reason: SignupRefusal) -> Decision:
    """Say no. What she holds under the same id, if anything, stays as it is."""
    draft.change(Outcome(draft.inbound.own_id, command.signup_id, "refused", reason, draft.now))
    tell(draft, messages.SignupRefused, command, shift, reason=reason)
    return draft.decision()
