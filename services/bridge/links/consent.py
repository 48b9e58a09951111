"""Consent at the border (rules 38-40): what a home says of it, its standing, and the registries that are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from contracts.consent import Standing, standing_after
from contracts.messages import deliveries, identity, volunteers
from contracts.messages.base import Consent
from contracts.topics import IDENTITY_COMMANDS
from services.bridge.border.admission import origin, refuse, sender
from services.bridge.border.people import obstacle, volunteer_of
from services.bridge.draft import Draft
from services.bridge.ledger.carrying import go_on
from services.bridge.policy import Policy
from services.bridge.states import ConsentState, Link
from services.bridge.steps import CONSENT
from services.chassis.decisions import Decision, Inbound, States

__all__ = [
    "LinkState",
    "Pair",
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
    """A home says that sharing with a host is allowed. Transfers that were withheld for want of consent go on at once.

    Consent that is given under a stale version is refused with the version that counts: its sender went back to a copy
    of its database.
    """
    data: volunteers.ConsentGiven = inbound.data
    return _consent_said(states, inbound, now, policy, given_as(data.consent))


def consent_withdrawn(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home says that sharing with a host ends. It ends with this transaction (rule 40), whatever the version."""
    data: volunteers.ConsentWithdrawn = inbound.data
    return _consent_said(states, inbound, now, policy, Standing(data.version, "withdrawn"))


class Pair(NamedTuple):
    """A home's volunteer and one host: the two between which consent is given, linked or not."""

    states: States
    home: str
    home_ref: str
    host: str

    @property
    def consent(self) -> ConsentState | None:
        """The row of her consent; None before the home has said anything of it."""
        return self.states.get(ConsentState, (self.home, self.home_ref, self.host))

    @property
    def standing(self) -> Standing | None:
        """Her consent in the form that ``contracts.consent`` judges."""
        return None if self.consent is None else self.consent.standing

    @property
    def link(self) -> Link | None:
        """Her link with this host; None while there is none."""
        volunteer = volunteer_of(self.states, self.home, self.home_ref)
        if volunteer is None or volunteer.role != "home":
            return None
        return self.states.get(Link, (volunteer.person, self.host))


def given_as(consent: Consent) -> Standing:
    """Consent that is given, in the form that ``contracts.consent`` judges."""
    return Standing(consent.version, "given", consent.valid_until)


def stale(inbound: Inbound, now: datetime, pair: Pair) -> Decision:
    """The refusal of consent that is given under a stale version: its sender learns which version counts."""
    version = None if pair.standing is None else pair.standing.version
    return refuse(inbound, now, "stale_consent", "/consent/version", standing_version=version)


def _consent_said(states: States, inbound: Inbound, now: datetime, policy: Policy, said: Standing) -> Decision:
    data: volunteers.ConsentGiven | volunteers.ConsentWithdrawn = inbound.data
    pair = Pair(states, sender(inbound), data.volunteer_ref, data.registry)
    volunteer = volunteer_of(states, pair.home, pair.home_ref)
    if volunteer is not None and volunteer.role == "host":
        return refuse(inbound, now, "not_yours", "/volunteer_ref")
    standing = standing_after(pair.standing, said)
    if standing is None:
        return stale(inbound, now, pair)
    draft = Draft(inbound, now)
    command = identity.RecordConsent(
        home=pair.home,
        home_ref=pair.home_ref,
        host=pair.host,
        origin=origin(inbound),
        state=said.state,
        version=said.version,
        consent=data.consent if isinstance(data, volunteers.ConsentGiven) else None,
    )
    draft.command(IDENTITY_COMMANDS, command)
    keep(draft, policy, pair, standing)
    return draft.decision()


def keep(draft: Draft, policy: Policy, pair: Pair, standing: Standing) -> None:
    """Keep the new standing of consent. Where consent is given again, transfers that were withheld go on."""
    before, link = pair.consent, pair.link
    if before is not None and before.standing == standing:
        return
    consent = ConsentState(pair.home, pair.home_ref, pair.host, *standing)
    draft.change(consent)
    if link is None:
        return
    draft.step(link.person, CONSENT[consent.state], link.host, version=consent.version)
    if consent.state == "given":
        if obstacle(link, before, draft.now) is not None and obstacle(link, consent, draft.now) is None:
            tell_host(draft, link, consent, "established")
        go_on(draft, policy, pair.states, link, consent)


def tell_host(draft: Draft, link: Link, consent: ConsentState | None, state: LinkState, **why: Any) -> None:
    """Tell the host of a change of the link. Age band and guardian's approval are in it only while the link is active
    and consent is given: the home shares them, and consent may have been withdrawn since identity decided.

    ``why``: ``reason``, or ``answers``.
    """
    shared = obstacle(link, consent, draft.now) is None
    notice = deliveries.LinkChanged(
        volunteer_ref=link.host_ref,
        registry=link.home,
        state=state,
        link_version=link.link_version,
        age_band=link.age_band if shared else None,
        guardian_approved=link.guardian_approved if shared else None,
        **why,
    )
    draft.deliver(link.host, notice)


def consent_changed(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Tell both registries. The border's own row does not change: it follows from the messages of the home alone."""
    event: identity.ConsentChanged = inbound.data
    draft = Draft(inbound, now)
    link = states.get(Link, (event.person, event.host))
    if link is not None:
        for registry, ref, other in ((link.host, link.host_ref, link.home), (link.home, link.home_ref, link.host)):
            draft.deliver(
                registry,
                deliveries.ConsentChanged(volunteer_ref=ref, registry=other, state=event.state, version=event.version),
            )
    return draft.decision()
