"""The bridge as the chassis runs it: its streams and their sources. ``crossings`` has the decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter

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
from services.bridge.border.admission import refusal_of_undecodable
from services.bridge.crossings import REACTIONS
from services.bridge.operate.hand import hand
from services.bridge.operate.operating import end_pauses, operating
from services.bridge.policy import Policy, policy
from services.bridge.reading.api import api
from services.bridge.settings import BridgeSettings
from services.bridge.store import BridgeStore, paused_groups
from services.chassis.base.clock import Clock
from services.chassis.base.logs import Episode, log
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.chassis.decisions import Send
from services.chassis.service import Service, Stream, Undecodable

__all__ = ["border", "build"]

BACKLOG_LIMIT: Final = 2000
"""While more rows of one registry than this are in the outbox, that registry's stream is not read."""

BORDER_BATCH: Final = 100
"""The most messages of one registry in a batch. With 500, a flood from one registry made credits of another wait for a
second and more: at the border, in the outbox, and in every service after it. With 100 a message costs hardly more."""

_SAID_WITHIN: Final = (IDENTITY_COMMANDS, OPPORTUNITIES_COMMANDS, ATTENDANCE_COMMANDS, BRIDGE_EVENTS)


def build(settings: BridgeSettings) -> Service:
    """The border of the registries in ``settings.registries``. Says of which of them it takes messages of any age.

    Raises ``ConfigurationError``.
    """
    values = policy(settings)
    now = Clock(timedelta(seconds=settings.clock_offset)).now()
    for code, registry in values.registries.items():
        if said := registry.of_any_age(now):
            log().warning("messages of any age", name=code, detail=said)
    return border(values)


def border(values: Policy) -> Service:
    """The border that decides by these values."""
    registries = values.registries
    pauses = Episode("pauses not ended", name="pauses")
    return Service(
        name="bridge",
        bearers=frozenset({"registry"}),
        streams=_streams(registries),
        reactions=REACTIONS,
        store=BridgeStore(),
        policy=values,
        migrations=Path(__file__).parent / "migrations",
        says=(*_SAID_WITHIN, *(entry.of(code) for code in registries for entry in (DELIVERIES, REFUSALS))),
        refuse=_refuse,
        api=partial(_api, values),
        paused_groups=paused_groups,
        listeners=(partial(end_pauses, pauses),),
        episodes=(pauses,),
    )


def _streams(registries: Mapping[str, Registry]) -> tuple[Stream, ...]:
    """A group per registry, so that a flood from one registry delays no other. A registry that its file pauses has no
    stream: its messages stay in the log."""
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
    within = (IDENTITY_EVENTS, OPPORTUNITIES_EVENTS, ATTENDANCE_EVENTS, BRIDGE_COMMANDS)
    inner = Stream(group="bridge", topics=within, sources=frozenset(service_source(entry.writer) for entry in within))
    return (*outer, inner)


def _api(policy: Policy, reads: Reads, settings: Settings) -> APIRouter:
    router = api(reads, settings)
    router.include_router(operating(policy.registries, reads, settings))
    router.include_router(hand(policy, reads, settings))
    return router


def _refuse(undecodable: Undecodable) -> Iterable[Send]:
    place = f"{undecodable.topic}/{undecodable.partition}/{undecodable.offset}"
    refusal = refusal_of_undecodable(undecodable.topic, place, undecodable.error)
    return () if refusal is None else (refusal,)
