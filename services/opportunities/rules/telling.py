"""What is said of a sign-up, to whom, and what is kept of it. Shared by all rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

from contracts.messages import opportunities as messages
from contracts.topics import OPPORTUNITIES_EVENTS
from services.chassis.decisions import Decision
from services.chassis.draft import Draft
from services.opportunities.states import Ask, CommandRefusal, Signup

__all__ = ["MOST_ASKS", "STANDING", "Asked", "also_asked", "command_refused", "signup_of", "tell", "tell_all"]

Asked: TypeAlias = messages.OfSignup
"""A command about a sign-up."""
_Fact: TypeAlias = type[
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
"""Asks that one registry may have of one sign-up that stands. A client that makes a new number at each attempt is the
usual cause of more."""
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
    held: Signup | None = None,
) -> Signup:
    """The sign-up that a command leads to, at this window. With ``clashed_at`` the window is only wanted. ``held``:
    as it stood before, with this command among its asks; these stay."""
    first, *others = (Ask(command.asker, command.signup_ref, command.origin),) if held is None else held.asks
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


def also_asked(held: Signup, command: Asked) -> Signup | None:
    """The sign-up with this command among its asks; None where its registry has as many asks as are kept.

    A registry that loops takes no other registry's.
    """
    ask = Ask(command.asker, command.signup_ref, command.origin)
    if any(known.name == ask.name for known in held.asks):
        return held
    if sum(known.asker == ask.asker for known in held.asks) >= MOST_ASKS:
        return None
    return replace(held, also_asked=(*held.also_asked, ask))


def tell(draft: Draft, fact: _Fact, asked: Asked | Signup, window: _Window | None, **more: Any) -> None:
    """Send the fact to who asked: by this command, or first for the stored sign-up."""
    _tell(draft, fact, asked, Ask(asked.asker, asked.signup_ref, asked.origin), window, **more)


def tell_all(draft: Draft, fact: _Fact, signup: Signup, asked: Asked | None = None, **more: Any) -> None:
    """Send the fact to everyone who asked for the sign-up, and to whoever asked just now, under each one's own ref."""
    asks = {ask.name: ask for ask in signup.asks}
    if asked is not None:
        asks[asked.asker, asked.signup_ref] = Ask(asked.asker, asked.signup_ref, asked.origin)
    for ask in asks.values():
        _tell(draft, fact, signup, ask, signup, **more)


def _tell(draft: Draft, fact: _Fact, about: Asked | Signup, ask: Ask, window: _Window | None, **more: Any) -> None:
    # A window just said has its sender's zone, and UTC once it was loaded: the words must not tell batches apart.
    told = fact(
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
    draft.tell(OPPORTUNITIES_EVENTS, told)


def command_refused(draft: Draft, reason: CommandRefusal) -> Decision:
    """The command could not be followed; its sender hears why."""
    command = draft.inbound.data
    refusal = messages.CommandRefused(
        host=command.host, project_ref=command.project_ref, reason=reason, origin=command.origin
    )
    draft.tell(OPPORTUNITIES_EVENTS, refusal)
    return draft.decision()
