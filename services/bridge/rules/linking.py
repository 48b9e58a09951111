"""Links and consent: what registries say about them, and what identity answers."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any

from contracts.consent import standing_after
from contracts.messages import deliveries, identity, volunteers
from contracts.topics import IDENTITY_COMMANDS
from services.bridge.policy import Policy
from services.bridge.rules.admission import origin, refuse, sender
from services.bridge.rules.carrying import release
from services.bridge.rules.consent import LinkState, Tie, given_as, keep, stale, tell_host
from services.bridge.rules.draft import Draft
from services.bridge.rules.names import account_name, person_name
from services.bridge.rules.people import consent_of, unlinked, volunteer
from services.bridge.rules.requests import answered, asked
from services.bridge.states import Account, ConsentState, Link
from services.bridge.steps import LINK
from services.chassis.decisions import Decision, Inbound, States

__all__ = [
    "link_broken",
    "link_established",
    "link_offered",
    "link_refused",
    "link_requested",
    "link_rested",
]


def link_offered(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home's offer goes to identity; the consent in it counts from here on. With a stale consent it is no offer.

    Unless the two are linked already: then it is a fresh code for the account that she has. What she said of consent
    since stands: ConsentGiven alone gives again what she took back. Where her home never said a word on consent, an
    offer without one could only run out.
    """
    data: volunteers.LinkOffered = inbound.data
    tie = Tie(states, sender(inbound), data.volunteer_ref, data.for_registry)
    consent = data.consent if tie.link is None else None
    standing = None if consent is None else standing_after(tie.standing, given_as(consent))
    if consent is not None and standing is None:
        return stale(inbound, now, tie)
    if data.consent is None and tie.consent is None:
        return refuse(inbound, now, "consent_missing", "/consent")
    draft = Draft(inbound, now)
    offer = identity.OfferLink(
        home=sender(inbound),
        home_ref=data.volunteer_ref,
        host=data.for_registry,
        origin=origin(inbound),
        code_hash=data.code_hash,
        age_band=data.age_band,
        guardian_approved=data.guardian_approved,
        consent=consent,
        expires_at=data.expires_at,
    )
    draft.command(IDENTITY_COMMANDS, offer)
    if standing is not None:
        keep(draft, policy, tie, standing)
    return draft.decision()


def link_requested(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A host's request goes to identity with the code's hash only. Messages of either ref wait for the answer."""
    data: volunteers.LinkRequested = inbound.data
    draft = Draft(inbound, now)
    request = identity.RequestLink(
        home=data.home,
        home_ref=data.home_ref,
        host=sender(inbound),
        origin=origin(inbound),
        host_ref=data.volunteer_ref,
        code_hash=sha256(data.code.encode()).hexdigest(),
    )
    draft.command(IDENTITY_COMMANDS, request)
    asked(draft, states, request)
    return draft.decision()


def link_broken(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Either side lets the tie rest; identity decides."""
    return _link_asked(states, inbound, now, identity.BreakLink, reason=inbound.data.reason)


def link_restored(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The side that broke the tie takes it up again; identity decides whether it did."""
    return _link_asked(states, inbound, now, identity.RestoreLink)


def _link_asked(
    states: States,
    inbound: Inbound,
    now: datetime,
    command: type[identity.BreakLink | identity.RestoreLink],
    **rest: Any,
) -> Decision:
    code, data = sender(inbound), inbound.data
    known = volunteer(states, code, data.volunteer_ref)
    if known is None:
        return unlinked(states, inbound, now, code, data.registry)
    link = states.get(Link, (known.person, data.registry if known.role == "home" else code))
    if link is None and known.role == "home":
        return unlinked(states, inbound, now, data.registry)
    if link is None or (known.role == "host" and link.home != data.registry):
        return refuse(inbound, now, "not_linked", "/registry")
    draft = Draft(inbound, now)
    draft.command(
        IDENTITY_COMMANDS,
        command(home=link.home, home_ref=link.home_ref, host=link.host, origin=origin(inbound), by=code, **rest),
    )
    return draft.decision()


def link_established(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Two refs are one person: both sides are told, and all that waited for either ref is decided."""
    fact: identity.LinkEstablished = inbound.data
    known = states.get(Link, (fact.person, fact.host))
    if known is not None and known.link_version > fact.link_version:
        return Decision()
    draft = Draft(inbound, now)
    draft.change(Account(fact.host, fact.host_ref, fact.person, "host"))
    draft.change(Account(fact.home, fact.home_ref, fact.person, "home"))
    link = Link(
        person=fact.person,
        host=fact.host,
        host_ref=fact.host_ref,
        home=fact.home,
        home_ref=fact.home_ref,
        age_band=fact.age_band,
        guardian_approved=fact.guardian_approved,
        link_version=fact.link_version,
        state="active",
        since=inbound.time if known is None else known.since,
        rests=() if known is None else known.rests,
    )
    draft.change(link)
    consent = consent_of(states, link)
    if consent is None:
        consent = ConsentState(fact.home, fact.home_ref, fact.host, *given_as(fact.consent))
        draft.change(consent)
    # Any word of the home that the border has decides: the copy in this fact is the same or older, and one that were
    # taken as a word could make a later word of the home stale.
    answered(draft, states, fact.host, (fact.home, fact.home_ref), fact.origin)
    answers = None if fact.origin is None else fact.origin.message_id
    _tell_both(draft, link, consent, "established", answers=answers)
    release(draft, policy, states, link, consent)
    for name in (
        account_name(fact.host, fact.host_ref),
        account_name(fact.home, fact.home_ref),
        person_name(fact.person),
    ):
        draft.fact(name)
    return draft.decision()


def link_refused(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The request is refused for good: the host is told, and behind the last one nothing waits longer than others."""
    fact: identity.LinkRefused = inbound.data
    draft = Draft(inbound, now)
    answered(draft, states, fact.host, (fact.home, fact.home_ref), fact.origin)
    told = deliveries.LinkChanged(
        volunteer_ref=fact.host_ref,
        registry=fact.home,
        state="refused",
        reason=fact.reason,
        answers=fact.origin.message_id,
    )
    draft.deliver(fact.host, told)
    return draft.decision()


def link_rested(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A tie was broken or restored: both sides are told; a restored one sends what was withheld for it."""
    fact: identity.LinkBroken | identity.LinkRestored = inbound.data
    link = states.get(Link, (fact.person, fact.host))
    if link is None:
        raise LookupError(f"{fact.TYPE} of a link that was never established")
    if fact.link_version < link.link_version:
        return Decision()
    draft = Draft(inbound, now)
    consent = consent_of(states, link)
    if isinstance(fact, identity.LinkBroken):
        link = link.rest_from(inbound.time, fact.link_version)
        draft.change(link)
        _tell_both(draft, link, consent, "broken", reason=fact.reason)
        return draft.decision()
    link = link.hold_from(inbound.time, fact.link_version)
    draft.change(link)
    _tell_both(draft, link, consent, "restored")
    release(draft, policy, states, link, consent)
    return draft.decision()


def _tell_both(draft: Draft, link: Link, consent: ConsentState | None, state: LinkState, **why: Any) -> None:
    tell_host(draft, link, consent, state, **why)
    reason = why.get("reason")
    told = deliveries.LinkChanged(
        volunteer_ref=link.home_ref, registry=link.host, state=state, reason=reason, link_version=link.link_version
    )
    draft.deliver(link.home, told)
    draft.step(link.person, LINK[state], link.host, home=link.home, reason=reason)
