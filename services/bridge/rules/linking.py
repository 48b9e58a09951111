"""Links and consent: what registries say about them, and what identity answers."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from contracts.messages import deliveries, identity, volunteers
from contracts.topics import IDENTITY_COMMANDS
from services.bridge.rules.admission import Border, origin, refuse, sender
from services.bridge.rules.carrying import release
from services.bridge.rules.draft import Draft
from services.bridge.rules.names import account_name, person_name
from services.bridge.rules.people import consent_of, obstacle, unlinked, volunteer
from services.bridge.rules.requests import all_answered, answered, asked
from services.bridge.states import Account, ConsentState, Link
from services.chassis.decisions import Decision, Inbound, States

LinkState: TypeAlias = Literal["established", "broken", "restored"]

__all__ = [
    "consent_changed",
    "consent_given",
    "consent_withdrawn",
    "link_broken",
    "link_established",
    "link_offered",
    "link_refused",
    "link_requested",
    "link_rested",
]


def link_offered(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """A home's offer goes to identity; the consent in it counts from here on."""
    data: volunteers.LinkOffered = inbound.data
    draft = Draft(inbound, now)
    offer = identity.OfferLink(
        home=sender(inbound),
        home_ref=data.volunteer_ref,
        host=data.for_registry,
        origin=origin(inbound),
        code_hash=data.code_hash,
        age_band=data.age_band,
        guardian_approved=data.guardian_approved,
        consent=data.consent,
        expires_at=data.expires_at,
    )
    draft.command(IDENTITY_COMMANDS, offer)
    given = ConsentState(
        sender(inbound), data.volunteer_ref, data.for_registry, data.consent.version, "given", data.consent.valid_until
    )
    _apply(draft, border, states, given)
    return draft.decision()


def link_requested(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
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


def consent_given(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """A home says that sharing with a host is allowed: what was withheld for want of it is sent at once."""
    data: volunteers.ConsentGiven = inbound.data
    consent = data.consent
    given = ConsentState(
        sender(inbound), data.volunteer_ref, data.registry, consent.version, "given", consent.valid_until
    )
    return _consent_said(border, states, inbound, now, given)


def consent_withdrawn(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """A home says that sharing with a host ends: it does, with this very transaction (rule 40)."""
    data: volunteers.ConsentWithdrawn = inbound.data
    withdrawn = ConsentState(sender(inbound), data.volunteer_ref, data.registry, data.version, "withdrawn", None)
    return _consent_said(border, states, inbound, now, withdrawn)


def _consent_said(border: Border, states: States, inbound: Inbound, now: datetime, said: ConsentState) -> Decision:
    known = volunteer(states, said.home, said.home_ref)
    if known is not None and known.role == "host":
        return refuse(inbound, now, "not_yours", "/volunteer_ref")
    draft = Draft(inbound, now)
    command = identity.RecordConsent(
        home=said.home,
        home_ref=said.home_ref,
        host=said.host,
        origin=origin(inbound),
        state=said.state,
        version=said.version,
        consent=inbound.data.consent if said.state == "given" else None,
    )
    draft.command(IDENTITY_COMMANDS, command)
    _apply(draft, border, states, said)
    return draft.decision()


def _apply(draft: Draft, border: Border, states: States, said: ConsentState) -> None:
    """Keep what was said of consent, if it is newer; a renewal releases what was withheld."""
    before = states.get(ConsentState, (said.home, said.home_ref, said.host))
    if not said.newer_than(before):
        return
    draft.change(said)
    known = volunteer(states, said.home, said.home_ref)
    link = states.get(Link, (known.person, said.host)) if known is not None and known.role == "home" else None
    if link is None:
        return
    draft.step(link.person, f"consent_{said.state}", said.host, version=said.version)
    if said.state == "given":
        if obstacle(link, before, draft.now) is not None and obstacle(link, said, draft.now) is None:
            _tell_host(draft, link, said, "established")
        release(draft, border, states, link, said)


def link_broken(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """Either side lets the tie rest; identity decides."""
    return _link_asked(states, inbound, now, identity.BreakLink, reason=inbound.data.reason)


def link_restored(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
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


def link_established(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
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
    said = ConsentState(fact.home, fact.home_ref, fact.host, fact.consent.version, "given", fact.consent.valid_until)
    consent = consent_of(states, link)
    if said.newer_than(consent):
        draft.change(said)
        consent = said
    all_answered(draft, states, fact)
    _tell_both(draft, link, consent, "established")
    release(draft, border, states, link, consent)
    for name in (
        account_name(fact.host, fact.host_ref),
        account_name(fact.home, fact.home_ref),
        person_name(fact.person),
    ):
        draft.fact(name)
    return draft.decision()


def link_refused(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """The request is refused for good: the host is told, and behind the last one nothing waits longer than others."""
    fact: identity.LinkRefused = inbound.data
    draft = Draft(inbound, now)
    answered(draft, states, fact)
    draft.deliver(
        fact.host,
        deliveries.LinkChanged(volunteer_ref=fact.host_ref, registry=fact.home, state="refused", reason=fact.reason),
    )
    return draft.decision()


def link_rested(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
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
        _tell_both(draft, link, consent, "broken", fact.reason)
        return draft.decision()
    link = link.hold_from(inbound.time, fact.link_version)
    draft.change(link)
    _tell_both(draft, link, consent, "restored")
    release(draft, border, states, link, consent)
    return draft.decision()


def _tell_both(
    draft: Draft, link: Link, consent: ConsentState | None, state: LinkState, reason: str | None = None
) -> None:
    _tell_host(draft, link, consent, state, reason)
    told = deliveries.LinkChanged(
        volunteer_ref=link.home_ref, registry=link.host, state=state, reason=reason, link_version=link.link_version
    )
    draft.deliver(link.home, told)
    draft.step(link.person, f"link_{state}", link.host, home=link.home, reason=reason)


def _tell_host(
    draft: Draft, link: Link, consent: ConsentState | None, state: LinkState, reason: str | None = None
) -> None:
    """How old she is and what her guardian said is her home's to share: only while the link holds and with consent.

    Consent may have been withdrawn while identity's word was on its way here.
    """
    shared = obstacle(link, consent, draft.now) is None
    told = deliveries.LinkChanged(
        volunteer_ref=link.host_ref,
        registry=link.home,
        state=state,
        reason=reason,
        link_version=link.link_version,
        age_band=link.age_band if shared else None,
        guardian_approved=link.guardian_approved if shared else None,
    )
    draft.deliver(link.host, told)


def consent_changed(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """Identity follows the border; both registries are told. An older word on consent changes nothing here."""
    fact: identity.ConsentChanged = inbound.data
    draft = Draft(inbound, now)
    until = fact.consent.valid_until if fact.consent is not None else None
    _apply(draft, border, states, ConsentState(fact.home, fact.home_ref, fact.host, fact.version, fact.state, until))
    link = states.get(Link, (fact.person, fact.host))
    if link is not None:
        for registry, ref, other in ((link.host, link.host_ref, link.home), (link.home, link.home_ref, link.host)):
            draft.deliver(
                registry,
                deliveries.ConsentChanged(volunteer_ref=ref, registry=other, state=fact.state, version=fact.version),
            )
    return draft.decision()
