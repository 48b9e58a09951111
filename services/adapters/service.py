"""Adapters: a registry without Kafka, on the linkage's topics. Which rule decides which message, and who calls."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

from contracts.envelope import Event
from contracts.messages import Message, deliveries
from contracts.messages.receipts import CreditAccepted, CreditRefused, CreditUnknown
from contracts.registry import Capability, Registry
from contracts.topics import DELIVERIES, INBOUND, RECEIPTS, REFUSALS, registry_source, service_source
from services.adapters import rules
from services.adapters.api import api
from services.adapters.asked import Quiet
from services.adapters.credentials import Credentials, read_credentials
from services.adapters.listening import Listener
from services.adapters.parts import PARTS, Part, figures
from services.adapters.rest_api import RestApi
from services.adapters.states import account_name
from services.adapters.store import AdapterStore, remember, waiting
from services.adapters.systems import System
from services.adapters.worker import Caller, Messenger, persistent
from services.chassis.clock import Clock
from services.chassis.configuration import ConfigurationError, read_folder
from services.chassis.database import Connection, Pool
from services.chassis.decisions import Decide, Inbound
from services.chassis.service import Figures, Service, Stream, Worker
from services.chassis.settings import Settings

__all__ = ["KINDS", "build"]

KINDS: Final[dict[str, Callable[[str, str, Quiet, Credentials], System]]] = {"rest_api": RestApi}
"""How the kinds of outside systems are reached; the registry's YAML names its kind as ``system``."""

Now: TypeAlias = Callable[[], datetime]

_OWN: Final = tuple(entry for entry in INBOUND if entry is not RECEIPTS)


def build(settings: Settings) -> Service:
    """The service as the chassis runs it. Raises ``ConfigurationError`` (no seat, unknown kind, no address, credentials
    that cannot be used)."""
    registry = _registry(settings)
    credentials = read_credentials(settings)
    code = registry.code
    parts = tuple(Part(name) for name in PARTS)
    return Service(
        name="adapters",
        streams=(
            # Two, so that each topic has one speaker: nobody but the registry speaks on its own topics.
            Stream(
                group=f"adapter.{code}",
                topics=(DELIVERIES.of(code), REFUSALS.of(code)),
                sources=frozenset({service_source("bridge")}),
            ),
            Stream(
                group=f"adapter.{code}.own",
                topics=tuple(entry.of(code) for entry in _OWN),
                sources=frozenset({registry_source(code)}),
            ),
        ),
        decisions=_decisions(code, registry.capability),
        store=AdapterStore(),
        subject=partial(_subject, code),
        locks=lambda _: (),
        migrations=Path(__file__).parent / "migrations",
        says=(RECEIPTS.of(code),),
        speaks_as=registry_source(code),
        restored=partial(_restored, code, Clock(timedelta(seconds=settings.clock_offset))),
        api=api,
        workers=_workers(registry, parts, credentials),
        episodes=tuple(part.interrupted for part in parts),
        figures=partial(_figures, parts),
    )


def _decisions(code: str, capability: Capability) -> dict[type[Message], Decide]:
    passed_on = {message for entry in (*_OWN, DELIVERIES, REFUSALS) for message in entry.messages}
    return {
        **{message: partial(rules.pass_on, registry=code) for message in passed_on},
        deliveries.CreditPosted: partial(rules.receive, registry=code),
        deliveries.CreditQueried: partial(rules.query, registry=code, capability=capability),
        deliveries.ConsentChanged: partial(rules.change_consent, registry=code),
    }


async def _restored(code: str, clock: Clock, db: Connection, events: Sequence[Event]) -> None:
    """Nothing that a later life of this database may have posted is posted again unasked."""
    said: defaultdict[UUID, list[rules.Receipt]] = defaultdict(list)
    for event in events:
        if isinstance(event.data, CreditAccepted | CreditRefused | CreditUnknown):
            said[event.data.transfer_id].append(event.data)
    now = clock.now()
    topic = RECEIPTS.of(code).name
    await remember(db, topic, lambda one: rules.remembered(one, said.get(one.transfer_id, ()), now), said)


async def _figures(parts: Sequence[Part], db: Connection) -> Figures:
    return figures(parts, await waiting(db))


def _workers(registry: Registry, parts: Sequence[Part], credentials: Credentials) -> tuple[Worker, ...]:
    code = registry.code
    calls, notices, listening = parts
    quiet = Quiet()

    def worker(
        part: Part, session_of: Callable[[Pool, System, Now, asyncio.Event], Callable[[], Awaitable[None]]]
    ) -> Worker:
        async def work(pool: Pool, settings: Settings, committed: asyncio.Event) -> None:
            clock = Clock(timedelta(seconds=settings.clock_offset))
            system = KINDS[registry.system](settings.sandbox_url or "", registry.code, quiet, credentials)
            try:
                await persistent(session_of(pool, system, clock.now, committed), part.interrupted)
            finally:
                await system.close()

        return work

    return (
        worker(calls, lambda pool, system, now, wake: Caller(pool, system, registry, now, wake, calls).session),
        worker(notices, lambda pool, system, now, wake: Messenger(pool, system, code, now, wake, notices).session),
        worker(listening, lambda pool, system, now, _: Listener(pool, system, code, now, listening).session),
    )


def _subject(code: str, inbound: Inbound) -> str:
    return account_name(code, inbound.event.key)


def _registry(settings: Settings) -> Registry:
    if settings.registries is None:
        raise ConfigurationError("set SHUANGCHENG_REGISTRIES to the folder with one YAML file per registry")
    found = read_folder(settings.registries, Registry).get(settings.registry or "")
    if found is None:
        raise ConfigurationError(f"no registry {settings.registry!r}: set SHUANGCHENG_REGISTRY to one of the folder's")
    if found.system not in KINDS:
        raise ConfigurationError(f"no adapter for systems of kind {found.system!r}: there is {', '.join(KINDS)}")
    if not settings.sandbox_url:
        raise ConfigurationError("set SHUANGCHENG_SANDBOX_URL to the base URL of the registry's system")
    return found
