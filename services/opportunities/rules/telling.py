"""What is said of a sign-up, to whom, and what is kept of it. Shared by all rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from contracts.messages import opportunities as messages
from contracts.topics import OPPORTUNITIES_EVENTS
from services.chassis.decisions import Decision, Send
from services.opportunities.states import Shift, Signup

__all__ = ["STANDING", "Asked", "both", "command_refused", "signup_of", "tell"]

Asked: TypeAlias = messages.RequestSignup | messages.WithdrawSignup | messages.ReportSignup
_Window: TypeAlias = Shift | Signup | messages.ReportSignup
_Fact: TypeAlias = type[
    messages.SignupConfirmed
    | messages.SignupWaitlisted
    | messages.SignupPromoted
    | messages.SignupRefused
    | messages.SignupWithdrawn
    | messages.SignupNoted
]
STANDING: Final[dict[str, _Fact]] = {
    "confirmed": messages.SignupConfirmed,
    "waitlisted": messages.SignupWaitlisted,
    "reported": messages.SignupNoted,
}
"""What is told of a sign-up that stands so."""


def signup_of(
    command: Asked,
    window: _Window,
    state: Literal["confirmed", "waitlisted", "reported", "clashed"],
    *,
    position: int | None = None,
    clashed_at: datetime | None = None,
) -> Signup:
    """The sign-up that a command leads to, at this window. With ``clashed_at`` the window is only wanted."""
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
        clashed_at=clashed_at,
        wanted_from=None if clashed_at is None else window.starts_at,
        wanted_to=None if clashed_at is None else window.ends_at,
    )


def tell(fact: _Fact, asked: Asked | Signup, window: _Window | None, **more: Any) -> Send:
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


def command_refused(command: messages.PublishProject | messages.PublishShift | Asked, reason: str) -> Decision:
    """The command could not be followed; its sender hears why."""
    refusal = messages.CommandRefused(
        host=command.host, project_ref=command.project_ref, reason=reason, origin=command.origin
    )
    return Decision(sends=(Send(OPPORTUNITIES_EVENTS, refusal),))


def both(first: Decision, second: Decision) -> Decision:
    """Both decisions of one message; the second one's states replace the first one's."""
    return replace(
        first,
        changes=first.changes + second.changes,
        sends=first.sends + second.sends,
        timers=first.timers + second.timers,
        facts=first.facts + second.facts,
    )
