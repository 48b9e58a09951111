"""Adapters' table of contents: each message with its decision, and the workers that call a registry's system."""

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
from contracts.registry import Registry
from contracts.topics import DELIVERIES, INBOUND, RECEIPTS, REFUSALS, registry_source, service_source
from services.adapters import rules
from services.adapters.api import api
from services.adapters.kinds.asked import Quiet
from services.adapters.kinds.credentials import Credentials, read_credentials
from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.kinds.systems import System
from services.adapters.listening import Listener
from services.adapters.parts import PARTS, Part, figures
from services.adapters.queries import waiting
from services.adapters.settings import AdapterSettings
from services.adapters.states import Credit, account_name
from services.adapters.store import AdapterStore, Needs, restore_credits
from services.adapters.worker import Caller, Messenger
from services.chassis.base.clock import Clock
from services.chassis.base.configuration import ConfigurationError, read_folder
from services.chassis.base.database import Connection, Pool
from services.chassis.base.persistent import persistent
from services.chassis.base.settings import Settings
from services.chassis.decisions import Inbound
from services.chassis.reactions import Reaction
from services.chassis.service import Figures, Service, Stream, Worker

__all__ = ["KINDS", "build"]

KINDS: Final[dict[str, Callable[[str, str, Quiet, Credentials], System]]] = {"rest_api": RestApi}
"""The client of each kind of outside system; the registry's file names its kind as ``system.kind``."""

Now: TypeAlias = Callable[[], datetime]

_OWN: Final = tuple(entry for entry in INBOUND if entry is not RECEIPTS)


def build(settings: AdapterSettings) -> Service:
    """The service as the chassis runs it. Raises ``ConfigurationError`` (no seat, unknown kind, no address, credentials
    that cannot be used)."""
    registry, address = _registry(settings)
    credentials = read_credentials(settings, address)
    code = registry.code
    parts = tuple(Part(name) for name in PARTS)
    return Service(
        name="adapters",
        bearers=frozenset({"registry"}),
        streams=(
            # Two streams, so that each topic has one source: only the registry writes to its own topics.
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
        reactions=_reactions(code),
        store=AdapterStore(),
        policy=registry,
        migrations=Path(__file__).parent / "migrations",
        says=(RECEIPTS.of(code),),
        speaks_as=registry_source(code),
        restored=partial(_restored, code, Clock(timedelta(seconds=settings.clock_offset))),
        api=api,
        workers=_workers(registry, address, parts, credentials),
        episodes=tuple(part.interrupted for part in parts),
        figures=partial(_figures, parts),
    )


def _reactions(code: str) -> dict[type[Message], Reaction]:
    """Every message for the registry or from it is passed on to its system; credits and consent have own decisions."""

    def account(inbound: Inbound) -> str:
        return account_name(code, inbound.event.key)

    passed_on = {message for entry in (*_OWN, DELIVERIES, REFUSALS) for message in entry.messages}
    return {
        **dict.fromkeys(passed_on, Reaction(rules.pass_on, account)),
        deliveries.CreditPosted: Reaction(rules.receive, account, needs=_transfer),
        deliveries.CreditQueried: Reaction(rules.query, account, needs=_transfer),
        deliveries.ConsentChanged: Reaction(rules.change_consent, account, needs=_consenting),
    }


def _transfer(inbound: Inbound, needs: Needs) -> None:
    needs.transfers.add(inbound.data.transfer_id)


def _consenting(inbound: Inbound, needs: Needs) -> None:
    needs.consenting.add(inbound.data.volunteer_ref)


async def _restored(code: str, clock: Clock, db: Connection, events: Sequence[Event]) -> None:
    """Take over the receipts that were sent since the dump, so that no credit is posted twice unasked."""
    receipts: defaultdict[UUID, list[rules.Receipt]] = defaultdict(list)
    for event in events:
        if isinstance(event.data, CreditAccepted | CreditRefused | CreditUnknown):
            receipts[event.data.transfer_id].append(event.data)
    now = clock.now()

    def restored(credit: Credit) -> Credit:
        return rules.restored_credit(credit, receipts.get(credit.transfer_id, ()), now)

    await restore_credits(db, RECEIPTS.of(code).name, restored, receipts)


async def _figures(parts: Sequence[Part], db: Connection) -> Figures:
    return figures(parts, await waiting(db))


def _workers(registry: Registry, address: str, parts: Sequence[Part], credentials: Credentials) -> tuple[Worker, ...]:
    code = registry.code
    calls, notices, listening = parts
    quiet = Quiet()

    def worker(
        part: Part, session_of: Callable[[Pool, System, Now, asyncio.Event], Callable[[], Awaitable[None]]]
    ) -> Worker:
        async def work(pool: Pool, settings: Settings, committed: asyncio.Event) -> None:
            clock = Clock(timedelta(seconds=settings.clock_offset))
            system = KINDS[registry.system.kind](address, registry.code, quiet, credentials)
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


def _registry(settings: AdapterSettings) -> tuple[Registry, str]:
    """The registry, and the address of its system."""
    registries = read_folder(settings.registries, Registry, named_by="code", variable="SHUANGCHENG_REGISTRIES")
    found = registries.get(settings.registry or "")
    if found is None or settings.registries is None:
        raise ConfigurationError(f"no registry {settings.registry!r}: set SHUANGCHENG_REGISTRY to one of the folder's")
    file, system = settings.registries / f"{settings.registry}.yaml", found.system
    if system.kind not in KINDS:
        raise ConfigurationError(
            f"{file}: system.kind: no adapter for systems of kind {system.kind!r}: there is {', '.join(KINDS)}"
        )
    if system.address is None:
        raise ConfigurationError(f"{file}: system.address: set it to the base URL of the registry's system")
    return found, system.address
