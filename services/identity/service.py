"""Identity's table of contents: for each command its decision, its source and its locks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contracts.messages import Message
from contracts.messages import identity as messages
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS, service_source
from services.chassis.base.settings import Settings
from services.chassis.decisions import Inbound
from services.chassis.reactions import Reaction
from services.chassis.service import Service, Stream
from services.identity import rules
from services.identity.api import api
from services.identity.policy import policy
from services.identity.store import IdentityStore, Needs

__all__ = ["REACTIONS", "build"]


def _account(inbound: Inbound) -> str:
    return f"account:{inbound.data.home}:{inbound.data.home_ref}"


def _at_home(inbound: Inbound, needs: Needs) -> None:
    needs.homes.add((inbound.data.home, inbound.data.home_ref))


def _at_home_and_host(inbound: Inbound, needs: Needs) -> None:
    _at_home(inbound, needs)
    needs.hosts.add((inbound.data.host, inbound.data.host_ref))


REACTIONS: Final[Mapping[type[Message], Reaction]] = {
    # No further locks here: the store takes the ``link:`` locks after a first look.
    messages.OfferLink: Reaction(rules.offer_link, _account, needs=_at_home),
    messages.RequestLink: Reaction(rules.request_link, _account, needs=_at_home_and_host),
    messages.ExpireLinkRequest: Reaction(rules.expire_link_request, _account, needs=_at_home),
    messages.RecordConsent: Reaction(rules.record_consent, _account, needs=_at_home),
    messages.BreakLink: Reaction(rules.break_link, _account, needs=_at_home),
    messages.RestoreLink: Reaction(rules.restore_link, _account, needs=_at_home),
}


def build(settings: Settings) -> Service:
    """The service under these settings."""
    return Service(
        name="identity",
        bearers=frozenset({"registry"}),
        streams=(
            Stream(
                group="identity",
                topics=(IDENTITY_COMMANDS,),
                sources=frozenset({service_source("bridge"), service_source("identity")}),
            ),
        ),
        reactions=REACTIONS,
        store=IdentityStore(),
        policy=policy(settings),
        migrations=Path(__file__).parent / "migrations",
        api=api,
        says=(IDENTITY_EVENTS,),
    )
