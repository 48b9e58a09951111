"""Identity's table of contents: which command is decided by what, where it comes from and what it locks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from contracts.messages import identity as messages
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS, service_source
from services.chassis.decisions import Inbound
from services.chassis.service import Service, Stream
from services.chassis.settings import Settings
from services.identity import rules
from services.identity.api import api
from services.identity.store import IdentityStore

__all__ = ["build"]

REQUEST_STANDS: Final = 5
"""A request stands this many times ``await_facts``: the offer comes from another city's system, by people's hands."""


def build(settings: Settings) -> Service:
    """The service with its policies bound."""
    return Service(
        name="identity",
        streams=(
            Stream(
                group="identity",
                topics=(IDENTITY_COMMANDS,),
                sources=frozenset({service_source("bridge"), service_source("identity")}),
            ),
        ),
        decisions={
            messages.OfferLink: rules.offer_link,
            messages.RequestLink: partial(rules.request_link, stands_for=settings.await_facts_for * REQUEST_STANDS),
            messages.ExpireLinkRequest: rules.expire_link_request,
            messages.RecordConsent: rules.record_consent,
            messages.BreakLink: rules.break_link,
            messages.RestoreLink: rules.restore_link,
        },
        store=IdentityStore(),
        subject=_home_account,
        locks=lambda inbound: (),  # the rest is known after the first look: store.load locks it
        migrations=Path(__file__).parent / "migrations",
        api=api,
        says=(IDENTITY_EVENTS,),
    )


def _home_account(inbound: Inbound) -> str:
    return f"account:{inbound.data.home}:{inbound.data.home_ref}"
