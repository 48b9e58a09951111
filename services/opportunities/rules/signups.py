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
from services.opportunities.rules.telling import EVENT_OF_STATE, command_refused, tell, tell_end, with_ask
from services.opportunities.rules.windows import clashes, decide_again
from services.opportunities.states import Outcome, Project, Shift, Signup, SignupRefusal, shift_name

__all__ = ["request_signup", "withdraw_signup"]

ADULT_AGE: Final = 18


def request_signup(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Give a post or a place in line, or refuse with a reason. Judged at the request's time.

    A request for a sign-up that she has already is told its state, under the ref of this request, and every later
    state: both apps may ask at once, and one may ask twice.
    """
    draft, command = Draft(inbound, now), inbound.data
    key = (command.host, command.project_ref, command.shift_ref)
    shift = states.get(Shift, key)
    if shift is None:
        if not inbound.waited_out:
            # The shifts of a project and the requests for them lie in one partition.
            published = Channel(OPPORTUNITIES_COMMANDS, command.key)
            draft.wait(shift_name(*key), brought_by=(published,))
            return draft.decision()
        return _refuse(draft, command, None, "shift_unknown")
    signup = states.get(Signup, command.signup_id)
    if signup is not None and signup.active:
        asked = with_ask(signup, command)
        if asked is None:
            return _refuse(draft, command, shift, "already_signed_up")
        if asked is not signup:
            draft.change(asked)
        tell(draft, EVENT_OF_STATE[signup.state], command, signup)
        return draft.decision()
    reason = _objection(states, inbound, command, shift)
    if reason is not None:
        return _refuse(draft, command, shift, reason)
    return draft.decision() if give(draft, command, shift) else _refuse(draft, command, shift, "full")


def withdraw_signup(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Take a post, a place in line or a report back. The post goes to the head of the line, the window to reports of
    hers that had lost to it. Once the shift has begun it is refused, judged at the message's time: she may have served.
    """
    draft, command = Draft(inbound, now), inbound.data
    signup = states.get(Signup, command.signup_id)
    if signup is None or signup.state == "withdrawn":
        return command_refused(draft, "no_signup")
    if inbound.time >= signup.starts_at:
        return command_refused(draft, "shift_started")
    ended = signup.ended()
    draft.change(ended)
    tell_end(draft, signup, command)
    shift = states.get(Shift, signup.shift)
    if shift is not None and signup.given:
        draft.change(Outcome(inbound.own_id, ended.signup_id, "withdrawn", None, now))
        promote(draft, states, _without(shift, signup), (signup,))
    decide_again(draft, states, (ended,))
    return draft.decision()


def _without(shift: Shift, signup: Signup) -> Shift:
    if signup.state == "waitlisted":
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
    # Where the minimum age lies within her band, only her home knows whether she is old enough (rule 37).
    below = max(command.age_band.youngest, command.at_least or 0) < shift.minimum_age
    if below and command.age_band.oldest is not None and command.age_band.oldest < shift.minimum_age:
        return "too_young"
    if below:
        return "needs_age"
    if command.age_band.youngest < ADULT_AGE and not command.guardian_approved:
        return "guardian_missing"
    if clashes(states.group(Signup, "person", command.person), command.signup_id, shift.starts_at, shift.ends_at):
        return "clash"
    return None


def _refuse(draft: Draft, command: messages.RequestSignup, shift: Shift | None, reason: SignupRefusal) -> Decision:
    """Refuse the request. A sign-up that she has under the same id does not change."""
    draft.change(Outcome(draft.inbound.own_id, command.signup_id, "refused", reason, draft.now))
    tell(draft, messages.SignupRefused, command, shift, reason=reason)
    return draft.decision()
