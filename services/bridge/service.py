"""The bridge's table of contents: who may speak where, and which message is decided by what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter

from contracts.messages import (
    Message,
    attendance,
    bridge,
    identity,
    opportunities,
    receipts,
    service,
    shifts,
    signups,
    volunteers,
)
from contracts.registry import Registry
from contracts.topics import (
    ATTENDANCE_COMMANDS,
    ATTENDANCE_EVENTS,
    BRIDGE_COMMANDS,
    BRIDGE_EVENTS,
    DELIVERIES,
    IDENTITY_COMMANDS,
    IDENTITY_EVENTS,
    INBOUND,
    OPPORTUNITIES_COMMANDS,
    OPPORTUNITIES_EVENTS,
    REFUSALS,
    registry_source,
    service_source,
)
from services.bridge.api import api
from services.bridge.hand import hand
from services.bridge.operating import end_pauses, operating
from services.bridge.rules import carrying, consent, linking, notices, translation
from services.bridge.rules.admission import Border, BorderDecide, admitted, refusal_of_undecodable
from services.bridge.rules.names import locks, subject
from services.bridge.store import BridgeStore, held_groups
from services.chassis.configuration import ConfigurationError, read_folder
from services.chassis.decisions import Decide, Send
from services.chassis.logs import Episode
from services.chassis.reading import Reads
from services.chassis.service import Service, Stream, Undecodable
from services.chassis.settings import Settings

__all__ = ["build"]

BACKLOG_LIMIT: Final = 2000
"""Rows of one registry's making in the outbox, above which its stream pauses."""

BORDER_BATCH: Final = 100
"""Messages of one registry in a batch at most. With 500 a flood of one made another's credits wait a second and more
at the border, in the outbox and in every service behind it; with 100 a batch costs hardly more a message."""

FROM_REGISTRIES: Final[Mapping[type[Message], BorderDecide]] = {
    volunteers.LinkOffered: linking.link_offered,
    volunteers.LinkRequested: linking.link_requested,
    volunteers.ConsentGiven: consent.consent_given,
    volunteers.ConsentWithdrawn: consent.consent_withdrawn,
    volunteers.LinkBroken: linking.link_broken,
    volunteers.LinkRestored: linking.link_restored,
    shifts.ProjectPublished: translation.project_published,
    shifts.ShiftPublished: translation.shift_published,
    signups.SignupRequested: translation.signup_requested,
    signups.SignupWithdrawn: translation.signup_withdrawn,
    signups.SignupReported: translation.signup_reported,
    service.CheckedIn: translation.presence_recorded,
    service.CheckedOut: translation.presence_recorded,
    service.ServiceAttested: translation.service_attested,
    receipts.CreditAccepted: carrying.receipt,
    receipts.CreditRefused: carrying.receipt,
    receipts.CreditUnknown: carrying.receipt,
}
FROM_WITHIN: Final[Mapping[type[Message], BorderDecide]] = {
    identity.LinkEstablished: linking.link_established,
    identity.LinkRefused: linking.link_refused,
    identity.LinkBroken: linking.link_rested,
    identity.LinkRestored: linking.link_rested,
    identity.ConsentChanged: consent.consent_changed,
    identity.CommandRefused: notices.command_refused,
    opportunities.SignupConfirmed: notices.signup_changed,
    opportunities.SignupWaitlisted: notices.signup_changed,
    opportunities.SignupPromoted: notices.signup_changed,
    opportunities.SignupRefused: notices.signup_changed,
    opportunities.SignupWithdrawn: notices.signup_changed,
    opportunities.SignupNoted: notices.signup_changed,
    opportunities.CommandRefused: notices.command_refused,
    attendance.ServiceConfirmed: carrying.service_decided,
    attendance.ServiceHeld: carrying.service_decided,
    attendance.ServiceRevoked: carrying.service_decided,
    attendance.CommandRefused: notices.command_refused,
    bridge.CheckReceipt: carrying.receipt_due,
    bridge.RetryTransfer: carrying.retry_due,
    bridge.SettleTransfer: carrying.settled_by_hand,
}

_SAID_WITHIN: Final = (IDENTITY_COMMANDS, OPPORTUNITIES_COMMANDS, ATTENDANCE_COMMANDS, BRIDGE_EVENTS)


def build(settings: Settings) -> Service:
    """The border of the registries in ``settings.registries``.

    Raises ``ConfigurationError``.
    """
    registries = _registries(settings.registries)
    border = Border(registries, timedelta(seconds=settings.receipt_due))
    pauses = Episode("pauses not ended", name="pauses")
    return Service(
        name="bridge",
        streams=_streams(registries),
        decisions=decisions(border),
        store=BridgeStore(),
        subject=subject,
        locks=locks,
        migrations=Path(__file__).parent / "migrations",
        says=(*_SAID_WITHIN, *(entry.of(code) for code in registries for entry in (DELIVERIES, REFUSALS))),
        refuse=_refuse,
        api=partial(_api, border),
        held=held_groups,
        listeners=(partial(end_pauses, pauses),),
        episodes=(pauses,),
    )


def decisions(border: Border) -> dict[type[Message], Decide]:
    """Every message that the border knows; those of registries are admitted first."""
    outer = {kind: admitted(border, decide) for kind, decide in FROM_REGISTRIES.items()}
    return {**outer, **{kind: partial(decide, border) for kind, decide in FROM_WITHIN.items()}}


def _registries(folder: Path | None) -> dict[str, Registry]:
    if folder is None:
        raise ConfigurationError("SHUANGCHENG_REGISTRIES must name the folder of <code>.yaml files")
    registries = read_folder(folder, Registry)
    for name, registry in registries.items():
        if registry.code != name:
            raise ConfigurationError(f"{folder / name}.yaml speaks of registry {registry.code!r}")
    return registries


def _streams(registries: Mapping[str, Registry]) -> tuple[Stream, ...]:
    """A group per registry, so that a flood from one delays no other. A paused one is not read: its messages stay."""
    outer = tuple(
        Stream(
            group=f"bridge.{code}",
            topics=tuple(entry.of(code) for entry in INBOUND),
            sources=frozenset({registry_source(code)}),
            backlog_limit=BACKLOG_LIMIT,
            most=BORDER_BATCH,
            pausable=True,
        )
        for code, registry in registries.items()
        if registry.state != "paused"
    )
    inner = Stream(
        group="bridge",
        topics=(IDENTITY_EVENTS, OPPORTUNITIES_EVENTS, ATTENDANCE_EVENTS, BRIDGE_COMMANDS),
        sources=frozenset(service_source(name) for name in ("identity", "opportunities", "attendance", "bridge")),
    )
    return (*outer, inner)


def _api(border: Border, reads: Reads, settings: Settings) -> APIRouter:
    router = api(reads, settings)
    router.include_router(operating(border.registries, reads, settings))
    router.include_router(hand(border, reads, settings))
    return router


def _refuse(undecodable: Undecodable) -> Iterable[Send]:
    place = f"{undecodable.topic}/{undecodable.partition}/{undecodable.offset}"
    refusal = refusal_of_undecodable(undecodable.topic, place, undecodable.error)
    return () if refusal is None else (refusal,)
