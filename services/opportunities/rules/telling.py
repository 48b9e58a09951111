"""The row of a sign-up, and the events that tell its askers of it. Shared by all rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

from contracts.messages import opportunities as messages
from contracts.topics import OPPORTUNITIES_EVENTS
from services.chassis.decisions import Decision
from services.chassis.draft import Draft
from services.opportunities.states import Ask, CommandRefusal, EndReason, Signup

__all__ = [
    "EVENT_OF_STATE",
    "MOST_ASKS",
    "Asked",
    "command_refused",
    "signup_of",
    "tell",
    "tell_all",
    "tell_end",
    "with_ask",
]

Asked: TypeAlias = messages.OfSignup
"""A command about a sign-up."""
_Event: TypeAlias = type[
    messages.SignupConfirmed
    | messages.SignupWaitlisted
    | messages.SignupPromoted
    | messages.SignupRefused
    | messages.SignupWithdrawn
    | messages.SignupNoted
]


class _Window(Protocol):
    @property
    def starts_at(self) -> datetime: ...

    @property
    def ends_at(self) -> datetime: ...


MOST_ASKS: Final = 16
"""How many asks of one registry an active sign-up keeps. More usually come from a client that makes a new number at
each attempt."""
EVENT_OF_STATE: Final[dict[str, _Event]] = {
    "confirmed": messages.SignupConfirmed,
    "waitlisted": messages.SignupWaitlisted,
    "reported": messages.SignupNoted,
}
"""The event that tells the state of an active sign-up."""


def signup_of(
    command: Asked,
    window: _Window,
    state: Literal["confirmed", "waitlisted", "reported", "clashed"],
    *,
    position: int | None = None,
    clashed_at: datetime | None = None,
    before: Signup | None = None,
) -> Signup:
    """The sign-up that a command leads to, at this window. With ``clashed_at`` the window is only wanted. ``before``:
    the sign-up before this command, with the command among its asks; the asks are kept."""
    first, *others = (Ask(command.asker, command.signup_ref, command.origin),) if before is None else before.asks
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
        asker=first.asker,
        signup_ref=first.signup_ref,
        origin=first.origin,
        also_asked=tuple(others),
        clashed_at=clashed_at,
        wanted_from=None if clashed_at is None else window.starts_at,
        wanted_to=None if clashed_at is None else window.ends_at,
    )


def with_ask(signup: Signup, command: Asked) -> Signup | None:
    """The sign-up with this command among its asks; None where its registry has ``MOST_ASKS`` of them already.

    The number is counted by registry, so a registry that loops takes no place of another registry.
    """
    ask = Ask(command.asker, command.signup_ref, command.origin)
    if any(other.name == ask.name for other in signup.asks):
        return signup
    if sum(other.asker == ask.asker for other in signup.asks) >= MOST_ASKS:
        return None
    return replace(signup, also_asked=(*signup.also_asked, ask))


def tell(draft: Draft, event: _Event, asked: Asked | Signup, window: _Window | None, **more: Any) -> None:
    """Send the event to one asker: that of this command, or the first asker of the stored sign-up."""
    _tell(draft, event, asked, Ask(asked.asker, asked.signup_ref, asked.origin), window, **more)


def tell_all(draft: Draft, event: _Event, signup: Signup, asked: Asked | None = None, **more: Any) -> None:
    """Send the event to every asker of the sign-up, and to the asker of the command ``asked``, each under its own
    ref."""
    asks = {ask.name: ask for ask in signup.asks}
    if asked is not None:
        asks[asked.asker, asked.signup_ref] = Ask(asked.asker, asked.signup_ref, asked.origin)
    for ask in asks.values():
        _tell(draft, event, signup, ask, signup, **more)


def tell_end(draft: Draft, signup: Signup, asked: Asked | None = None, reason: EndReason | None = None) -> None:
    """Tell every asker that the sign-up ends by this message, and when: attendance judges by that moment what she had
    served."""
    ended = draft.inbound.time.astimezone(UTC)
    tell_all(draft, messages.SignupWithdrawn, signup, asked, reason=reason, withdrawn_at=ended)


def _tell(draft: Draft, event: _Event, about: Asked | Signup, ask: Ask, window: _Window | None, **more: Any) -> None:
    # A window from a message has its sender's time zone, a window from the database UTC. The bytes must be the same,
    # whichever it is, since a replay may cut batches differently.
    message = event(
        host=about.host,
        project_ref=about.project_ref,
        signup_id=about.signup_id,
        person=about.person,
        shift_ref=about.shift_ref,
        asker=ask.asker,
        signup_ref=ask.signup_ref,
        origin=ask.origin,
        starts_at=window.starts_at.astimezone(UTC) if window else None,
        ends_at=window.ends_at.astimezone(UTC) if window else None,
        **more,
    )
    draft.tell(OPPORTUNITIES_EVENTS, message)


def command_refused(draft: Draft, reason: CommandRefusal) -> Decision:
    """The command is not followed, and its sender is told why."""
    command = draft.inbound.data
    refusal = messages.CommandRefused(
        host=command.host,
        project_ref=command.project_ref,
        reason=reason,
        origin=command.origin,
        person=command.person if isinstance(command, messages.OfSignup) else None,
    )
    draft.tell(OPPORTUNITIES_EVENTS, refusal)
    return draft.decision()
