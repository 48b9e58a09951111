"""Links and consent: what registries say about them, and what identity answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from contracts.messages import deliveries, identity, volunteers
from contracts.topics import IDENTITY_COMMANDS
from services.bridge.rules.admission import Border, origin, refuse, sender
from services.bridge.rules.carrying import release
from services.bridge.rules.draft import Draft
from services.bridge.rules.names import account_name, person_name
from services.bridge.rules.people import consent_of, unlinked, volunteer
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
    """A host's request goes to identity with the code's hash only. Messages of this ref wait for the answer."""
    data: volunteers.LinkRequested = inbound.data
    code, ref = sender(inbound), data.volunteer_ref
    draft = Draft(inbound, now)
    request = identity.RequestLink(
        home=data.home,
        home_ref=data.home_ref,
        host=code,
        origin=origin(inbound),
        host_ref=ref,
        code_hash=sha256(data.code.encode()).hexdigest(),
    )
    draft.command(IDENTITY_COMMANDS, request)
    known = states.get(Account, (code, ref)) or Account(code, ref, None, "host")
    draft.change(replace(known, request=inbound.event.id))
    # Whoever waits already is decided again and now waits for identity's answer.
    draft.fact(account_name(code, ref))
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
    if not said.newer_than(states.get(ConsentState, (said.home, said.home_ref, said.host))):
        return
    draft.change(said)
    known = volunteer(states, said.home, said.home_ref)
    link = states.get(Link, (known.person, said.host)) if known is not None and known.role == "home" else None
    if link is None:
        return
    draft.step(link.person, f"consent_{said.state}", said.host, version=said.version)
    if said.state == "given":
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
        return unlinked(states, inbound, now)
    link = states.get(Link, (known.person, data.registry if known.role == "home" else code))
    if link is None and known.role == "home":
        return unlinked(states, inbound, now)
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
        since=inbound.time,
    )
    draft.change(link)
    said = ConsentState(fact.home, fact.home_ref, fact.host, fact.consent.version, "given", fact.consent.valid_until)
    before = consent_of(states, link)
    if said.newer_than(before):
        draft.change(said)
        before = said
    _tell_both(draft, link, "established")
    release(draft, border, states, link, before)
    for name in (
        account_name(fact.host, fact.host_ref),
        account_name(fact.home, fact.home_ref),
        person_name(fact.person),
    ):
        draft.fact(name)
    return draft.decision()


def link_refused(border: Border, states: States, inbound: Inbound, now: datetime) -> Decision:
    """The request is refused for good: the host is told, and what waited behind it waits no longer than others."""
    fact: identity.LinkRefused = inbound.data
    draft = Draft(inbound, now)
    account = states.get(Account, (fact.host, fact.host_ref))
    if account is not None and account.request == fact.origin.message_id:
        draft.change(replace(account, request=None))
        draft.fact(account_name(fact.host, fact.host_ref))
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
    reason = fact.reason if isinstance(fact, identity.LinkBroken) else None
    broken = reason is not None
    state: Literal["active", "broken"] = "broken" if broken else "active"
    # Where the other side's break still stands, it rests since then.
    since = link.since if link.state == state else inbound.time
    link = replace(link, link_version=fact.link_version, state=state, since=since)
    draft = Draft(inbound, now)
    draft.change(link)
    _tell_both(draft, link, "broken" if broken else "restored", reason)
    if not broken:
        release(draft, border, states, link, consent_of(states, link))
    return draft.decision()


def _tell_both(draft: Draft, link: Link, state: LinkState, reason: str | None = None) -> None:
    new = state == "established"
    for registry, ref, other in ((link.host, link.host_ref, link.home), (link.home, link.home_ref, link.host)):
        to_host = registry == link.host
        told = deliveries.LinkChanged(
            volunteer_ref=ref,
            registry=other,
            state=state,
            reason=reason,
            link_version=link.link_version,
            age_band=link.age_band if new and to_host else None,
            guardian_approved=link.guardian_approved if new and to_host else None,
        )
        draft.deliver(registry, told)
    draft.step(link.person, f"link_{state}", link.host, home=link.home, reason=reason)


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
