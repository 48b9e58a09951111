"""Who gets which post: pure decisions over projects, shifts and sign-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from heapq import nsmallest
from typing import Any, Final, Literal, TypeAlias

from contracts.messages import opportunities as messages
from contracts.messages.opportunities import SignupRefusal
from contracts.topics import OPPORTUNITIES_EVENTS
from services.chassis.decisions import Decision, Inbound, Send, States, Wait
from services.opportunities.states import Outcome, Project, Shift, Signup, shift_name

__all__ = ["publish_project", "publish_shift", "report_signup", "request_signup", "withdraw_signup"]

ADULT_AGE: Final = 18

_Asked: TypeAlias = messages.RequestSignup | messages.WithdrawSignup | messages.ReportSignup
_Window: TypeAlias = Shift | Signup | messages.ReportSignup
_Fact: TypeAlias = type[
    messages.SignupConfirmed
    | messages.SignupWaitlisted
    | messages.SignupPromoted
    | messages.SignupRefused
    | messages.SignupWithdrawn
    | messages.SignupNoted
]
_STANDING: Final[dict[str, _Fact]] = {
    "confirmed": messages.SignupConfirmed,
    "waitlisted": messages.SignupWaitlisted,
    "reported": messages.SignupNoted,
}

_GIVEN: Final = ("confirmed", "waitlisted")
"""What the linkage gave, not what home reported."""


def publish_project(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Keep a project's newer version. Versions that are known change nothing; other content is a conflict."""
    command: messages.PublishProject = inbound.data
    known = states.get(Project, (command.host, command.project_ref))
    said = Project.of(command)
    if known is not None and said.version <= known.version:
        return _not_newer(command, conflict=said.version == known.version and said != known)
    return Decision(changes=(said,))


def publish_shift(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Keep a shift's newer version: more posts go to those in line, fewer send nobody away, a cancellation everyone.

    The window is promised and never moves: refused(window_fixed).
    """
    command: messages.PublishShift = inbound.data
    known = states.get(Shift, (command.host, command.project_ref, command.shift.shift_ref))
    said = Shift.of(command, known)
    if known is not None:
        if said.version <= known.version:
            return _not_newer(command, conflict=said.version == known.version and said != known)
        if (said.starts_at, said.ends_at) != (known.starts_at, known.ends_at):
            return _refused_command(command, "window_fixed")
    here = Decision(facts=(shift_name(*said.key),))
    if said.state == "cancelled":
        return _with(here, _cancel(states, inbound, said, now))
    return _with(here, _promote(states, inbound, said, (), now))


def request_signup(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Give a post or a place in line, or say why not. Judged at the request's time.

    The same asker asking again under the same ref hears how its sign-up stands.
    """
    command: messages.RequestSignup = inbound.data
    key = (command.host, command.project_ref, command.shift_ref)
    shift = states.get(Shift, key)
    if shift is None:
        if not inbound.waited_out:
            return Decision(wait=Wait(shift_name(*key)))
        return _refuse(inbound, command, None, "shift_unknown", now)
    held = states.get(Signup, command.signup_id)
    if held is not None and held.state in _GIVEN and _same_request(held, command):
        return Decision(sends=(_tell(_STANDING[held.state], command, held),))
    reason = _objection(states, inbound, command, shift)
    if reason is not None:
        return _refuse(inbound, command, shift, reason, now)
    # Those in line come first, also where a post stands free because it came back too late to be handed on.
    if shift.free and not shift.waitlisted:
        return _give(inbound, command, replace(shift, confirmed=shift.confirmed + 1), None, now)
    if shift.waitlisted < shift.waitlist_posts:
        last = shift.last_position + 1
        lengthened = replace(shift, waitlisted=shift.waitlisted + 1, last_position=last)
        return _give(inbound, command, lengthened, last, now)
    return _refuse(inbound, command, shift, "full", now)


def withdraw_signup(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Take a post, a place in line or a reported window back, and hand a free post on to the head of the line."""
    command: messages.WithdrawSignup = inbound.data
    held = states.get(Signup, command.signup_id)
    if held is None or not held.active:
        return _refused_command(command, "no_signup")
    gone = replace(held, state="withdrawn", position=None)
    told = Decision(changes=(gone,), sends=(_tell(messages.SignupWithdrawn, command, held),))
    shift = states.get(Shift, held.shift)
    if shift is None or held.state == "reported":
        return told
    told = _with(told, Decision(changes=(Outcome(inbound.fresh_id, gone.signup_id, "withdrawn", None, now),)))
    if held.state == "waitlisted":
        shift = replace(shift, waitlisted=shift.waitlisted - 1)
    else:
        confirmed = shift.confirmed - 1
        shift = replace(shift, confirmed=confirmed, capacity=max(shift.posts, confirmed))
    return _with(told, _promote(states, inbound, shift, (held,), now))


def report_signup(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Note that she is busy at home, or no longer. Takes no post; what she holds elsewhere keeps its window."""
    command: messages.ReportSignup = inbound.data
    held = states.get(Signup, command.signup_id)
    if command.state == "withdrawn":
        if held is None or held.state != "reported":
            return _refused_command(command, "no_signup")
        gone = replace(held, state="withdrawn")
        return Decision(changes=(gone,), sends=(_tell(messages.SignupWithdrawn, command, held),))
    if held is not None and held.state in _GIVEN:
        # She has it by the linkage: the window is occupied as reported.
        return Decision(sends=(_tell(_STANDING[held.state], command, held),))
    if _clashes(states, command, command.starts_at, command.ends_at):
        return Decision(sends=(_tell(messages.SignupRefused, command, command, reason="clash"),))
    noted = _signup(command, command, "reported", None)
    return Decision(changes=(noted,), sends=(_tell(messages.SignupNoted, command, noted),))


def _objection(states: States, inbound: Inbound, command: messages.RequestSignup, shift: Shift) -> SignupRefusal | None:
    if shift.state == "cancelled":
        return "shift_cancelled"
    held = states.get(Signup, command.signup_id)
    if held is not None and held.active:
        return "already_signed_up"
    if not shift.signup_opens_at <= inbound.time < min(shift.signup_closes_at, shift.starts_at):
        return "not_open"
    if command.age_band.youngest < shift.minimum_age:
        return "too_young"
    if command.age_band.youngest < ADULT_AGE and not command.guardian_approved:
        return "guardian_missing"
    if _clashes(states, command, shift.starts_at, shift.ends_at):
        return "clash"
    return None


def _same_request(held: Signup, command: messages.RequestSignup) -> bool:
    return (held.asker, held.signup_ref) == (command.asker, command.signup_ref)


def _clashes(states: States, command: _Asked, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether another sign-up of hers, in any registry, occupies part of the window; touching ends do not."""
    return any(
        other.active
        and other.signup_id != command.signup_id
        and other.starts_at < ends_at
        and starts_at < other.ends_at
        for other in states.group(Signup, "person", command.person)
    )


def _give(
    inbound: Inbound, command: messages.RequestSignup, shift: Shift, position: int | None, now: datetime
) -> Decision:
    given = _signup(command, shift, "confirmed" if position is None else "waitlisted", position)
    outcome = Outcome(inbound.fresh_id, given.signup_id, "confirmed" if position is None else "waitlisted", None, now)
    return Decision(changes=(shift, given, outcome), sends=(_tell(_STANDING[given.state], command, given),))


def _promote(states: States, inbound: Inbound, shift: Shift, leaving: Sequence[Signup], now: datetime) -> Decision:
    """Hand free posts to the heads of the line, in order, while the shift is open and has not started."""
    if shift.state != "open" or inbound.time >= shift.starts_at or not (shift.free and shift.waitlisted):
        return Decision(changes=(shift,))
    gone = {signup.signup_id for signup in leaving}
    line = [
        signup
        for signup in states.group(Signup, "shift", shift.key)
        if signup.state == "waitlisted" and signup.signup_id not in gone
    ]
    heads = nsmallest(min(shift.free, shift.waitlisted), line, key=lambda signup: signup.position or 0)
    promoted = [replace(head, state="confirmed", position=None) for head in heads]
    filled = replace(shift, confirmed=shift.confirmed + len(promoted), waitlisted=shift.waitlisted - len(promoted))
    outcomes = [Outcome(inbound.fresh_id, signup.signup_id, "promoted", None, now) for signup in promoted]
    return Decision(
        changes=(filled, *promoted, *outcomes),
        sends=tuple(_tell(messages.SignupPromoted, signup, signup) for signup in promoted),
    )


def _cancel(states: States, inbound: Inbound, shift: Shift, now: datetime) -> Decision:
    """Free everyone of a shift that does not take place."""
    active = (signup for signup in states.group(Signup, "shift", shift.key) if signup.active)
    leaving = sorted(active, key=lambda signup: signup.signup_id)
    gone = [replace(signup, state="withdrawn", position=None) for signup in leaving]
    outcomes = [
        Outcome(inbound.fresh_id, signup.signup_id, "withdrawn", "shift_cancelled", now)
        for signup in leaving
        if signup.state != "reported"
    ]
    emptied = replace(shift, confirmed=0, waitlisted=0, capacity=shift.posts)
    return Decision(
        changes=(emptied, *gone, *outcomes),
        sends=tuple(_tell(messages.SignupWithdrawn, signup, signup, reason="shift_cancelled") for signup in gone),
    )


def _refuse(
    inbound: Inbound, command: messages.RequestSignup, shift: Shift | None, reason: SignupRefusal, now: datetime
) -> Decision:
    """Say no. What she holds under the same id, if anything, stays as it is."""
    outcome = Outcome(inbound.fresh_id, command.signup_id, "refused", reason, now)
    return Decision(changes=(outcome,), sends=(_tell(messages.SignupRefused, command, shift, reason=reason),))


def _signup(
    command: _Asked, window: _Window, state: Literal["confirmed", "waitlisted", "reported"], position: int | None
) -> Signup:
    return Signup(
        signup_id=command.signup_id,
        person=command.person,
        host=command.host,
        project_ref=command.project_ref,
        shift_ref=command.shift_ref,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        state=state,
        position=position,
        asker=command.asker,
        signup_ref=command.signup_ref,
        origin=command.origin,
    )


def _tell(fact: _Fact, asked: _Asked | Signup, window: _Window | None, **more: Any) -> Send:
    """The fact, addressed to who asked: of this command, or of the stored sign-up where nobody asked just now."""
    told = fact(
        host=asked.host,
        project_ref=asked.project_ref,
        signup_id=asked.signup_id,
        person=asked.person,
        shift_ref=asked.shift_ref,
        asker=asked.asker,
        signup_ref=asked.signup_ref,
        origin=asked.origin,
        starts_at=window.starts_at if window else None,
        ends_at=window.ends_at if window else None,
        **more,
    )
    return Send(OPPORTUNITIES_EVENTS, told)


def _not_newer(command: messages.PublishProject | messages.PublishShift, *, conflict: bool) -> Decision:
    return _refused_command(command, "version_conflict") if conflict else Decision()


def _refused_command(command: messages.PublishProject | messages.PublishShift | _Asked, reason: str) -> Decision:
    refusal = messages.CommandRefused(
        host=command.host, project_ref=command.project_ref, reason=reason, origin=command.origin
    )
    return Decision(sends=(Send(OPPORTUNITIES_EVENTS, refusal),))


def _with(first: Decision, second: Decision) -> Decision:
    """Both decisions of one message; the second one's states replace the first one's."""
    return replace(
        first,
        changes=first.changes + second.changes,
        sends=first.sends + second.sends,
        facts=first.facts + second.facts,
    )
