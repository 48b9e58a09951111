"""The figures of the first page, from the answers of all services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from deploy.operator.linkage import Linkage, Standing
from deploy.operator.plot import Plot, plot
from deploy.operator.settings import BRIDGE
from deploy.web.trouble import NotFound, NotReached

__all__ = ["Direction", "Overview", "overview"]

Ask: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]
"""A question to a service in the operator's name: service, path, parameters."""
_ENDED: Final = ("refused", "superseded")


@dataclass(frozen=True, slots=True)
class Direction:
    """Transfers from one registry to another: those that ended in the last hour, and open ones by state and reason."""

    host: str
    home: str
    credited: dict[str, int]
    """Transfers and minutes."""
    ended: dict[str, dict[str, int]]
    open: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page's figures at one moment. Those of the bridge are None while it does not answer."""

    at: datetime
    services: list[Standing]
    registries: dict[str, dict[str, Any]] | None
    directions: list[Direction] | None
    plot: Plot | None
    uncertain: int | None
    """How many transfers an operator may have to settle."""
    contradicting: int | None
    """Receipts of the last day that contradict an earlier one."""


async def overview(linkage: Linkage, ask: Ask) -> Overview:
    """Ask all services at the same time. Raises what ``ask`` raises, except where the bridge does not answer."""
    at = datetime.now(UTC)
    paths: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/registries", {}),
        ("/flows", {}),
        ("/differences", {"limit": 0}),
    )
    services, *known = await asyncio.gather(linkage.standing(), *(_or_none(ask, path, asked) for path, asked in paths))
    registries, flows, differences = known
    if registries is None or flows is None or differences is None:
        return Overview(at, services, None, None, None, None, None)
    receipts = sum(row["receipts"] for row in differences["conflicts"])
    picture = plot(flows["by_minute"], datetime.fromisoformat(flows["at"]))
    return Overview(at, services, registries, _directions(registries, flows), picture, differences["total"], receipts)


async def _or_none(ask: Ask, path: str, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return await ask(BRIDGE, path, **asked)
    except (NotReached, NotFound):  # it does not answer, or it is older than this page
        return None


def _directions(registries: Iterable[str], flows: Mapping[str, Any]) -> list[Direction]:
    codes = sorted(registries)
    every = {(host, home) for host in codes for home in codes if host != home}
    every |= {(row["host"], row["home"]) for kind in ("open", "ended", "by_minute") for row in flows[kind]}
    return [
        Direction(
            host,
            home,
            _sum(_of(flows["by_minute"], host, home)),
            {state: _sum(_of(flows["ended"], host, home, state)) for state in _ENDED},
            _of(flows["open"], host, home),
        )
        for host, home in sorted(every)
    ]


def _of(rows: Iterable[dict[str, Any]], host: str, home: str, state: str | None = None) -> list[dict[str, Any]]:
    return [row for row in rows if (row["host"], row["home"]) == (host, home) and state in (None, row.get("state"))]


def _sum(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found = list(rows)
    return {name: sum(row[name] for row in found) for name in ("transfers", "minutes")}
