"""From refs to persons and back, by the links that the border has."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from contracts.topics import IDENTITY_EVENTS, VOLUNTEERS
from services.bridge.border.admission import refuse, sender
from services.bridge.border.names import account_name, person_name
from services.bridge.border.requests import LONGEST, under_way_since
from services.bridge.reasons import Obstacle
from services.bridge.states import Account, ConsentState, Link
from services.chassis.decisions import Channel, Decision, Inbound, States, Wait

__all__ = [
    "OBSTACLES",
    "Volunteer",
    "consent_of",
    "home_link",
    "obstacle",
    "person_unknown",
    "unlinked",
    "volunteer_of",
]

OBSTACLES: Final[tuple[Obstacle, ...]] = get_args(Obstacle)
"""Why nothing may be sent home."""


class Volunteer(NamedTuple):
    """The person behind a registry's ref, and whether that registry is her home or a host."""

    person: UUID
    role: Literal["home", "host"]


def volunteer_of(states: States, registry: str, ref: str) -> Volunteer | None:
    """The volunteer behind a ref; None while the ref is not linked."""
    account = states.get(Account, (registry, ref))
    return None if account is None else Volunteer(account.person, account.role)


def unlinked(states: States, inbound: Inbound, now: datetime, *hosts: str) -> Decision:
    """Wait until the sender's ref is linked with one of ``hosts``; with any host where none is named.

    The message waits until identity has answered the link requests under way; where there is none, for
    ``await_facts``. Then it is refused(not_linked).
    A host's request, in the host's own topic, begins a link. A request of another registry links a ref only where the
    ref's home has offered it. Therefore the wait listens to identity, to the sender, and to the hosts to which the
    sender offered this ref.
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
    """Topics in which a request that links this ref may lie, or the offer that such a request needs."""
    offered = [consent.host for consent in states.group(ConsentState, "account", (code, ref))]
    asking = [host for host in offered if not hosts or host in hosts]
    return [Channel(VOLUNTEERS.of(registry)) for registry in dict.fromkeys((code, *asking))]


def home_link(states: States, person: UUID, host: str) -> Link | None:
    """The person's link with this host. Where the host is her home, any of her links: each names her home."""
    link = states.get(Link, (person, host))
    if link is not None:
        return link
    return next((other for other in states.group(Link, "person", person) if other.home == host), None)


def consent_of(states: States, link: Link) -> ConsentState | None:
    """Consent that covers sharing between this link's home and host."""
    return states.get(ConsentState, (link.home, link.home_ref, link.host))


def obstacle(link: Link, consent: ConsentState | None, now: datetime) -> Obstacle | None:
    """Why nothing may be sent home at this moment, or None (rules 38-40). ``now`` is the clock's time; the time in a
    message decides nothing here."""
    if link.state == "broken":
        return "link_broken"
    if consent is None:
        return "consent_missing"
    if consent.state == "withdrawn":
        return "consent_withdrawn"
    return "consent_expired" if consent.expired(now) else None


def person_unknown(inbound: Inbound, person: UUID) -> Decision:
    """A service's event that overtook LinkEstablished waits for it. An event that waited in vain is a fault, and
    raises."""
    if inbound.waited_out:
        raise LookupError(f"the border was never told of person {person}")
    return Decision(wait=Wait(person_name(person), brought_by=(Channel(IDENTITY_EVENTS),)))
