"""Consent at the border (rules 38-40): what a home says of it, what stands, and who is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from contracts.consent import Standing, standing_after
from contracts.messages import deliveries, identity, volunteers
from contracts.messages.base import Consent
from contracts.topics import IDENTITY_COMMANDS
from services.bridge.policy import Policy
from services.bridge.rules.admission import origin, refuse, sender
from services.bridge.rules.carrying import release
from services.bridge.rules.draft import Draft
from services.bridge.rules.people import obstacle, volunteer
from services.bridge.states import ConsentState, Link
from services.bridge.steps import CONSENT
from services.chassis.decisions import Decision, Inbound, States

__all__ = [
    "LinkState",
    "Tie",
    "consent_changed",
    "consent_given",
    "consent_withdrawn",
    "given_as",
    "keep",
    "stale",
    "tell_host",
]

LinkState: TypeAlias = Literal["established", "broken", "restored"]


def consent_given(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home says that sharing with a host is allowed: what was withheld for want of it is sent at once.

    A giving that is stale is refused with the version that stands: its sender went back to a copy of its database.
    """
    data: volunteers.ConsentGiven = inbound.data
    return _consent_said(states, inbound, now, policy, given_as(data.consent))


def consent_withdrawn(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home says that sharing with a host ends: it does, with this very transaction (rule 40), under any version."""
    data: volunteers.ConsentWithdrawn = inbound.data
    return _consent_said(states, inbound, now, policy, Standing(data.version, "withdrawn"))


class Tie(NamedTuple):
    """A home's volunteer and one host: whose consent it is, and what stands of it."""

    states: States
    home: str
    home_ref: str
    host: str

    @property
    def consent(self) -> ConsentState | None:
        """What is kept of it; None before the first word."""
        return self.states.get(ConsentState, (self.home, self.home_ref, self.host))

    @property
    def standing(self) -> Standing | None:
        """The same in the words of the common rule."""
        return None if self.consent is None else self.consent.standing

    @property
    def link(self) -> Link | None:
        """Her link with this host; None while there is none."""
        known = volunteer(self.states, self.home, self.home_ref)
        at_home = known is not None and known.role == "home"
        return self.states.get(Link, (known.person, self.host)) if known is not None and at_home else None


def given_as(consent: Consent) -> Standing:
    """A giving in the words of the common rule."""
    return Standing(consent.version, "given", consent.valid_until)


def stale(inbound: Inbound, now: datetime, tie: Tie) -> Decision:
    """The refusal of a giving that is stale: its sender learns which version stands."""
    version = None if tie.standing is None else tie.standing.version
    return refuse(inbound, now, "stale_consent", "/consent/version", standing_version=version)


def _consent_said(states: States, inbound: Inbound, now: datetime, policy: Policy, said: Standing) -> Decision:
    data: volunteers.ConsentGiven | volunteers.ConsentWithdrawn = inbound.data
    tie = Tie(states, sender(inbound), data.volunteer_ref, data.registry)
    known = volunteer(states, tie.home, tie.home_ref)
    if known is not None and known.role == "host":
        return refuse(inbound, now, "not_yours", "/volunteer_ref")
    standing = standing_after(tie.standing, said)
    if standing is None:
        return stale(inbound, now, tie)
    draft = Draft(inbound, now)
    command = identity.RecordConsent(
        home=tie.home,
        home_ref=tie.home_ref,
        host=tie.host,
        origin=origin(inbound),
        state=said.state,
        version=said.version,
        consent=data.consent if isinstance(data, volunteers.ConsentGiven) else None,
    )
    draft.command(IDENTITY_COMMANDS, command)
    keep(draft, policy, tie, standing)
    return draft.decision()


def keep(draft: Draft, policy: Policy, tie: Tie, standing: Standing) -> None:
    """Keep what stands of consent now; a renewal releases what was withheld."""
    before, link = tie.consent, tie.link
    if before is not None and before.standing == standing:
        return
    consent = ConsentState(tie.home, tie.home_ref, tie.host, *standing)
    draft.change(consent)
    if link is None:
        return
    draft.step(link.person, CONSENT[consent.state], link.host, version=consent.version)
    if consent.state == "given":
        if obstacle(link, before, draft.now) is not None and obstacle(link, consent, draft.now) is None:
            tell_host(draft, link, consent, "established")
        release(draft, policy, tie.states, link, consent)


def tell_host(draft: Draft, link: Link, consent: ConsentState | None, state: LinkState, **why: Any) -> None:
    """How old she is and what her guardian said is her home's to share: only while the link holds and with consent.

    Consent may have been withdrawn while identity's word was on its way here. ``why``: ``reason``, or ``answers``.
    """
    shared = obstacle(link, consent, draft.now) is None
    told = deliveries.LinkChanged(
        volunteer_ref=link.host_ref,
        registry=link.home,
        state=state,
        link_version=link.link_version,
        age_band=link.age_band if shared else None,
        guardian_approved=link.guardian_approved if shared else None,
        **why,
    )
    draft.deliver(link.host, told)


def consent_changed(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Identity follows the border; both registries are told. Consent here follows from the words of the home alone."""
    fact: identity.ConsentChanged = inbound.data
    draft = Draft(inbound, now)
    link = states.get(Link, (fact.person, fact.host))
    if link is not None:
        for registry, ref, other in ((link.host, link.host_ref, link.home), (link.home, link.home_ref, link.host)):
            draft.deliver(
                registry,
                deliveries.ConsentChanged(volunteer_ref=ref, registry=other, state=fact.state, version=fact.version),
            )
    return draft.decision()
