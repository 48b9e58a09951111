"""What inner services decided, told to the registries it concerns, each by its own ref."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from contracts.messages import attendance, identity, opportunities
from contracts.messages.deliveries import SignupChanged, SignupState
from services.bridge.policy import Policy
from services.bridge.rules.draft import Draft
from services.bridge.rules.people import consent_of, home_link, obstacle, person_unknown
from services.bridge.steps import SIGNUP
from services.chassis.decisions import Decision, Inbound, States

__all__ = ["command_refused", "signup_changed"]

_SignupFact: TypeAlias = (
    opportunities.SignupConfirmed
    | opportunities.SignupWaitlisted
    | opportunities.SignupPromoted
    | opportunities.SignupRefused
    | opportunities.SignupWithdrawn
    | opportunities.SignupNoted
)
_Refused: TypeAlias = identity.CommandRefused | opportunities.CommandRefused | attendance.CommandRefused


def signup_changed(state: SignupState, states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Tell the shift's host and the home how a sign-up stands, once where they are the same.

    Without valid consent the side that did not ask is told only if the shift is its own: where she serves is hers
    to share (rules 38-40).
    """
    fact: _SignupFact = inbound.data
    link = home_link(states, fact.person, fact.host)
    if link is None:
        return person_unknown(inbound, fact.person)
    shared = obstacle(link, consent_of(states, link), now) is None
    reason = fact.reason if isinstance(fact, opportunities.SignupRefused | opportunities.SignupWithdrawn) else None
    draft = Draft(inbound, now)
    for registry in dict.fromkeys((fact.host, link.home)):
        if registry not in (fact.host, fact.asker) and not shared:
            continue
        told = SignupChanged(
            volunteer_ref=link.ref_at(registry),
            signup_id=fact.signup_id,
            signup_ref=fact.signup_ref,
            asker=fact.asker,
            host=fact.host,
            project_ref=fact.project_ref,
            shift_ref=fact.shift_ref,
            state=state,
            reason=reason,
            starts_at=fact.starts_at,
            ends_at=fact.ends_at,
        )
        draft.deliver(registry, told)
    draft.step(
        fact.person,
        SIGNUP[state],
        fact.host,
        str(fact.signup_id),
        project_ref=fact.project_ref,
        shift_ref=fact.shift_ref,
        asker=fact.asker,
        reason=reason,
    )
    return draft.decision()


def command_refused(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """An inner service could not follow: the registry whose message it was learns why."""
    fact: _Refused = inbound.data
    draft = Draft(inbound, now)
    standing = fact.standing_version if isinstance(fact, identity.CommandRefused) else None
    draft.refuse(fact.origin, fact.reason, standing_version=standing)
    return draft.decision()
