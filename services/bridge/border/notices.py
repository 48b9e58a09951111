"""Decisions of inner services are told to the registries that they concern, to each in its own ref."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from contracts.messages import attendance, identity, opportunities
from contracts.messages.deliveries import SignupChanged, SignupState
from services.bridge.border.people import consent_of, home_link, obstacle, person_unknown
from services.bridge.draft import Draft
from services.bridge.policy import Policy
from services.bridge.states import RegistryMessage
from services.bridge.steps import SIGNUP
from services.chassis.decisions import Decision, Inbound, States

__all__ = ["command_refused", "signup_changed"]

_SignupEvent: TypeAlias = (
    opportunities.SignupConfirmed
    | opportunities.SignupWaitlisted
    | opportunities.SignupPromoted
    | opportunities.SignupRefused
    | opportunities.SignupWithdrawn
    | opportunities.SignupNoted
)
_Refused: TypeAlias = identity.CommandRefused | opportunities.CommandRefused | attendance.CommandRefused


def signup_changed(state: SignupState, states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Tell the shift's host and the home the new state of a sign-up. Where host and home are the same registry, it is
    told once.

    Without valid consent the home is told only where it asked for the sign-up: the volunteer decides who learns where
    she serves (rules 38-40).
    """
    event: _SignupEvent = inbound.data
    link = home_link(states, event.person, event.host)
    if link is None:
        return person_unknown(inbound, event.person)
    shared = obstacle(link, consent_of(states, link), now) is None
    reason = event.reason if isinstance(event, opportunities.SignupRefused | opportunities.SignupWithdrawn) else None
    draft = Draft(inbound, now)
    for registry in dict.fromkeys((event.host, link.home)):
        if registry not in (event.host, event.asker) and not shared:
            continue
        notice = SignupChanged(
            volunteer_ref=link.ref_at(registry),
            signup_id=event.signup_id,
            signup_ref=event.signup_ref,
            asker=event.asker,
            host=event.host,
            project_ref=event.project_ref,
            shift_ref=event.shift_ref,
            state=state,
            reason=reason,
            starts_at=event.starts_at,
            ends_at=event.ends_at,
        )
        draft.deliver(registry, notice)
    draft.step(
        event.person,
        SIGNUP[state],
        event.host,
        str(event.signup_id),
        project_ref=event.project_ref,
        shift_ref=event.shift_ref,
        asker=event.asker,
        reason=reason,
    )
    return draft.decision()


def command_refused(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """An inner service refused a command: the registry whose message led to the command learns why, under the key of
    that message. Inner services do not know the key where it is a volunteer's ref."""
    event: _Refused = inbound.data
    said = states.get(RegistryMessage, event.origin.message)
    if said is None:
        # There is nobody to tell. An operator sees it where it is set aside.
        raise LookupError(f"{event.TYPE} answers a message of {event.origin.registry} that the border does not know")
    key = _key_of(states, event)
    if key is None:
        return person_unknown(inbound, inbound.data.person)
    draft = Draft(inbound, now)
    standing = event.standing_version if isinstance(event, identity.CommandRefused) else None
    draft.refuse(said, key, event.reason, standing_version=standing)
    return draft.decision()


def _key_of(states: States, event: _Refused) -> str | None:
    """The key of the message that is refused; None where the border has no link of the person from which to read it."""
    if isinstance(event, identity.CommandRefused) and event.origin.registry == event.home:
        return event.home_ref  # she may have no link yet
    if event.person is None:
        return event.project_ref
    link = home_link(states, event.person, event.host)
    if link is None and isinstance(event, identity.CommandRefused):  # identity itself told of the link before
        raise LookupError(f"{event.TYPE} of a link that was never established")
    return None if link is None else link.ref_at(event.origin.registry)
