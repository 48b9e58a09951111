"""From refs to persons and back: what the border knows of links when it translates."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from contracts.topics import IDENTITY_EVENTS, VOLUNTEERS
from services.bridge.reasons import Obstacle
from services.bridge.rules.admission import refuse, sender
from services.bridge.rules.names import account_name, person_name
from services.bridge.rules.requests import LONGEST, under_way_since
from services.bridge.states import Account, ConsentState, Link
from services.chassis.decisions import Channel, Decision, Inbound, States, Wait

__all__ = ["OBSTACLES", "Volunteer", "consent_of", "home_link", "obstacle", "person_unknown", "unlinked", "volunteer"]

OBSTACLES: Final[tuple[Obstacle, ...]] = get_args(Obstacle)
"""Why nothing may be sent home."""


class Volunteer(NamedTuple):
    """Whom a registry's ref means, and in which role that registry keeps her."""

    person: UUID
    role: Literal["home", "host"]


def volunteer(states: States, registry: str, ref: str) -> Volunteer | None:
    """The person behind a ref, once it is linked."""
    account = states.get(Account, (registry, ref))
    return None if account is None else Volunteer(account.person, account.role)


def unlinked(states: States, inbound: Inbound, now: datetime, *hosts: str) -> Decision:
    """Wait for the sender's ref to be linked with one of these hosts, with any when none is named.

    Behind a link under way until identity has answered, else for ``await_facts``; then refused(not_linked).
    A link is begun by a host's request in its own topic; another registry's request links only a ref that its home has
    offered. So the wait listens to identity, to the sender itself, and to hosts to which the sender offered this ref.
    """
    code, ref = sender(inbound), inbound.data.volunteer_ref
    if inbound.waited_out:
        return refuse(inbound, now, "not_linked", "/volunteer_ref")
    since = under_way_since(states, code, ref, hosts)
    until = None if since is None else min(since, inbound.received_at) + LONGEST
    return Decision(
        wait=Wait(
            account_name(code, ref),
            brought_by=(Channel(IDENTITY_EVENTS), *_may_begin(states, code, ref, hosts)),
            until=until if until is not None and until > now else None,
        )
    )


def _may_begin(states: States, code: str, ref: str, hosts: tuple[str, ...]) -> list[Channel]:
    """Where a request may lie that would link this ref, or the offer without which none can link it as its home's."""
    offered = [consent.host for consent in states.group(ConsentState, "account", (code, ref))]
    asking = [host for host in offered if not hosts or host in hosts]
    return [Channel(VOLUNTEERS.of(registry)) for registry in dict.fromkeys((code, *asking))]


def home_link(states: States, person: UUID, host: str) -> Link | None:
    """The person's link with this host; where the host is her home, any link, since each knows her home."""
    link = states.get(Link, (person, host))
    if link is not None:
        return link
    return next((other for other in states.group(Link, "person", person) if other.home == host), None)


def consent_of(states: States, link: Link) -> ConsentState | None:
    """Consent that covers sharing between this link's home and host."""
    return states.get(ConsentState, (link.home, link.home_ref, link.host))


def obstacle(link: Link, consent: ConsentState | None, now: datetime) -> Obstacle | None:
    """Why nothing may be sent home at this moment, or None (rules 38-40). Judged by the clock, never by a message."""
    if link.state == "broken":
        return "link_broken"
    if consent is None:
        return "consent_missing"
    if consent.state == "withdrawn":
        return "consent_withdrawn"
    if consent.valid_until is not None and now >= consent.valid_until:
        return "consent_expired"
    return None


def person_unknown(inbound: Inbound, person: UUID) -> Decision:
    """An inner fact that overtook LinkEstablished waits for it. One that waited in vain is a fault: it raises."""
    if inbound.waited_out:
        raise LookupError(f"the border was never told of person {person}")
    return Decision(wait=Wait(person_name(person), brought_by=(Channel(IDENTITY_EVENTS),)))
