"""Linkages to begin with: some or all services, in memory or on PostgreSQL, under the same settings and one clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from contracts.registry import Capability, Registry
from deploy.linkage import SERVICES
from deploy.tryout.local.registries import TRYOUT
from services.attendance.policy import Policy as AttendancePolicy
from services.attendance.service import under
from services.bridge.policy import Policy
from services.bridge.service import border
from services.chassis.service import Service
from tests.support.clocks import HandClock
from tests.support.every_settings import EverySettings
from tests.support.linkage import Linkage, Log, Member, at_once
from tests.support.memory import in_memory
from tests.support.naming import SECRET
from tests.support.on_postgres import on_postgres

__all__ = [
    "ALL",
    "MOMENT",
    "given",
    "memory_linkage",
    "postgres_linkage",
    "services_of",
    "settings_of",
    "with_capabilities",
]

_BUILD: Final[Mapping[str, Callable[[Any], Service]]] = {
    name: import_module(f"services.{name}.service").build for name in SERVICES
}
ALL: Final = tuple(_BUILD)
MOMENT: Final = datetime(2026, 7, 18, 6, 0, tzinfo=UTC)


class NewMigrated(Protocol):
    """Gives the DSN of a database; whoever makes it may have applied these migrations."""

    async def __call__(self, *, migrated: Path) -> str: ...


def memory_linkage(
    names: Iterable[str] = ALL,
    moment: datetime = MOMENT,
    seats: Mapping[str, Registry] | None = None,
    **settings: Any,
) -> Linkage:
    """These services in memory. ``seats``: the registries, in place of those that have files."""
    chosen, clock = settings_of(settings), HandClock(moment)
    log = Log(clock)
    members = []
    for built in services_of(names, chosen, seats):
        service, base = in_memory(built)
        members.append(Member(service, base, chosen, log, clock))
        at_once(members[-1].start())
    return Linkage(members, log, clock)


async def postgres_linkage(
    stack: AsyncExitStack,
    new_database: NewMigrated,
    names: Iterable[str] = ALL,
    moment: datetime = MOMENT,
    capabilities: Mapping[str, Capability] | None = None,
    own_clocks: bool = False,
    **settings: Any,
) -> Linkage:
    """The same services, each on a new database; the stack closes what is opened."""
    chosen, clock = settings_of(settings), HandClock(moment)
    log = Log(clock)
    members = []
    for built in services_of(names, chosen):
        service = with_capabilities(built, capabilities) if capabilities and built.name == "bridge" else built
        base = await on_postgres(stack, service, await new_database(migrated=service.migrations))
        members.append(Member(service, base, chosen, log, HandClock(moment) if own_clocks else clock))
        await members[-1].start()
    return Linkage(members, log, clock)


def given(dsn: str) -> NewMigrated:
    """In place of new databases: this database, for a linkage of one service."""

    async def there(*, migrated: Path) -> str:
        return dsn

    return there


def with_capabilities(service: Service, capabilities: Mapping[str, Capability]) -> Service:
    """The bridge with homes whose ledgers can do this."""
    policy: Policy = service.policy
    seats = {
        code: seat.model_copy(update={"capability": capabilities.get(code, seat.capability)})
        for code, seat in policy.registries.items()
    }
    return replace(service, policy=replace(policy, registries=seats))


def settings_of(changes: Mapping[str, Any]) -> EverySettings:
    """The settings of a linkage, with these changes."""
    return _settings(tuple(sorted(changes.items())))


@cache
def _settings(changes: tuple[tuple[str, Any], ...]) -> EverySettings:
    # Made once: to read the environment takes ten times as long as all the rest of a small linkage's start.
    known: dict[str, Any] = {"profile": "test", "naming_secret": SECRET, "registries": TRYOUT, "await_facts": 60.0}
    return EverySettings(**known | dict(changes))


def services_of(
    names: Iterable[str], settings: EverySettings, seats: Mapping[str, Registry] | None = None
) -> list[Service]:
    """These services. ``seats``: the registries, in place of those that have files."""
    build = dict(_BUILD)
    build["attendance"] = partial(_attendance_of, seats or {})
    if seats is not None:
        build["bridge"] = partial(_bridge_of, seats)
    return [build[name](settings) for name in names]


def _bridge_of(seats: Mapping[str, Registry], settings: EverySettings) -> Service:
    return _border(tuple(seats.values()), settings.receipt_due)


def _attendance_of(seats: Mapping[str, Registry], settings: EverySettings) -> Service:
    return under(AttendancePolicy(settings.day_cap_minutes, seats))


@cache
def _border(seats: tuple[Registry, ...], receipt_due: float) -> Service:
    return border(Policy({seat.code: seat for seat in seats}, timedelta(seconds=receipt_due)))
