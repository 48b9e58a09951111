"""Links: what registries say about them, and what identity answers."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any

from contracts.consent import standing_after
from contracts.messages import deliveries, identity, volunteers
from contracts.topics import IDENTITY_COMMANDS
from services.bridge.border.admission import origin, refuse, sender
from services.bridge.border.names import account_name, person_name
from services.bridge.border.people import consent_of, unlinked, volunteer_of
from services.bridge.border.requests import answered, asked
from services.bridge.draft import Draft
from services.bridge.ledger.carrying import go_on
from services.bridge.links.consent import LinkState, Pair, given_as, keep, stale, tell_host
from services.bridge.policy import Policy
from services.bridge.states import Account, ConsentState, Link, RegistryMessage
from services.bridge.steps import LINK
from services.chassis.decisions import Decision, Inbound, States

__all__ = [
    "link_broken",
    "link_broken_or_restored",
    "link_established",
    "link_offered",
    "link_refused",
    "link_requested",
]


def link_offered(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home's offer goes to identity. The consent in it counts from now on; an offer whose consent is stale is
    refused.

    Where the two are linked already, the offer is a fresh code for the account that she has, and the consent in it
    counts for nothing: after a withdrawal only ConsentGiven gives consent again. An offer without consent, where her
    home never said anything of consent, is refused: it could only run out.
    """
    data: volunteers.LinkOffered = inbound.data
    pair = Pair(states, sender(inbound), data.volunteer_ref, data.for_registry)
    consent = data.consent if pair.link is None else None
    standing = None if consent is None else standing_after(pair.standing, given_as(consent))
    if consent is not None and standing is None:
        return stale(inbound, now, pair)
    if data.consent is None and pair.consent is None:
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
        keep(draft, policy, pair, standing)
    return draft.decision()


def link_requested(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A host's request goes to identity, with the hash of the code and without the code. Later messages of both refs
    wait for the answer."""
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
    """A home or a host breaks the link; identity decides."""
    return _link_asked(states, inbound, now, identity.BreakLink, reason=inbound.data.reason)


def link_restored(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home or a host takes its own break back; identity decides whether there was one."""
    return _link_asked(states, inbound, now, identity.RestoreLink)


def _link_asked(
    states: States,
    inbound: Inbound,
    now: datetime,
    command: type[identity.BreakLink | identity.RestoreLink],
    **rest: Any,
) -> Decision:
    code, data = sender(inbound), inbound.data
    volunteer = volunteer_of(states, code, data.volunteer_ref)
    if volunteer is None:
        return unlinked(states, inbound, now, code, data.registry)
    link = states.get(Link, (volunteer.person, data.registry if volunteer.role == "home" else code))
    if link is None and volunteer.role == "home":
        return unlinked(states, inbound, now, data.registry)
    if link is None or (volunteer.role == "host" and link.home != data.registry):
        return refuse(inbound, now, "not_linked", "/registry")
    draft = Draft(inbound, now)
    draft.command(
        IDENTITY_COMMANDS,
        command(home=link.home, home_ref=link.home_ref, host=link.host, origin=origin(inbound), by=code, **rest),
    )
    return draft.decision()


def link_established(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Two refs are one person's. Both registries are told, and messages that waited for either ref are decided."""
    event: identity.LinkEstablished = inbound.data
    before = states.get(Link, (event.person, event.host))
    if before is not None and before.link_version > event.link_version:
        return Decision()
    draft = Draft(inbound, now)
    draft.change(Account(event.host, event.host_ref, event.person, "host"))
    draft.change(Account(event.home, event.home_ref, event.person, "home"))
    link = Link(
        person=event.person,
        host=event.host,
        host_ref=event.host_ref,
        home=event.home,
        home_ref=event.home_ref,
        age_band=event.age_band,
        guardian_approved=event.guardian_approved,
        link_version=event.link_version,
        state="active",
        since=inbound.time if before is None else before.since,
        rests=() if before is None else before.rests,
    )
    draft.change(link)
    consent = consent_of(states, link)
    if consent is None:
        consent = ConsentState(event.home, event.home_ref, event.host, *given_as(event.consent))
        draft.change(consent)
    # The event's copy of the consent counts only where the border has no consent of this home and host. Otherwise the
    # copy is the same or older, and to take it over could make a later message of the home stale.
    answered(draft, states, event.host, (event.home, event.home_ref), event.asked_as)
    _tell_both(draft, link, consent, "established", answers=_answers(states, event))
    go_on(draft, policy, states, link, consent)
    for name in (
        account_name(event.host, event.host_ref),
        account_name(event.home, event.home_ref),
        person_name(event.person),
    ):
        draft.fact(name)
    return draft.decision()


def link_refused(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The request is refused for good, and the host is told. After the last answer messages of the two refs wait no
    longer than other messages."""
    event: identity.LinkRefused = inbound.data
    draft = Draft(inbound, now)
    answered(draft, states, event.host, (event.home, event.home_ref), event.host_ref)
    notice = deliveries.LinkChanged(
        volunteer_ref=event.host_ref,
        registry=event.home,
        state="refused",
        reason=event.reason,
        answers=_answers(states, event),
    )
    draft.deliver(event.host, notice)
    return draft.decision()


def _answers(states: States, event: identity.LinkEstablished | identity.LinkRefused) -> str | None:
    """What the host calls its request that is answered; None where there was no request, or where nobody knows it any
    more."""
    said = None if event.origin is None else states.get(RegistryMessage, event.origin.message)
    return None if said is None else said.message_id


def link_broken_or_restored(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A link was broken or restored, and both registries are told. With a restoration, transfers that were withheld
    since the break go on."""
    event: identity.LinkBroken | identity.LinkRestored = inbound.data
    link = states.get(Link, (event.person, event.host))
    if link is None:
        raise LookupError(f"{event.TYPE} of a link that was never established")
    if event.link_version < link.link_version:
        return Decision()
    draft = Draft(inbound, now)
    consent = consent_of(states, link)
    if isinstance(event, identity.LinkBroken):
        link = link.rest_from(inbound.time, event.link_version)
        draft.change(link)
        _tell_both(draft, link, consent, "broken", reason=event.reason)
        return draft.decision()
    link = link.hold_from(inbound.time, event.link_version)
    draft.change(link)
    _tell_both(draft, link, consent, "restored")
    go_on(draft, policy, states, link, consent)
    return draft.decision()


def _tell_both(draft: Draft, link: Link, consent: ConsentState | None, state: LinkState, **why: Any) -> None:
    tell_host(draft, link, consent, state, **why)
    reason = why.get("reason")
    notice = deliveries.LinkChanged(
        volunteer_ref=link.home_ref, registry=link.host, state=state, reason=reason, link_version=link.link_version
    )
    draft.deliver(link.home, notice)
    draft.step(link.person, LINK[state], link.host, home=link.home, reason=reason)
