"""The first page's figures: what the services say, put side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from deploy.operator.linkage import Linkage, Standing
from deploy.operator.plot import Plot, plot
from deploy.operator.settings import BRIDGE
from deploy.web.trouble import NotReached

__all__ = ["Direction", "Overview", "overview"]

_ENDED: Final = ("refused", "superseded")


@dataclass(frozen=True, slots=True)
class Direction:
    """From one registry to another: what ended in the last hour, and what is open, by state and reason."""

    host: str
    home: str
    credited: dict[str, int]
    """Transfers and minutes."""
    ended: dict[str, dict[str, int]]
    open: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of one moment. What the bridge alone knows is None while it does not answer."""

    at: datetime
    services: list[Standing]
    registries: dict[str, dict[str, Any]] | None
    directions: list[Direction] | None
    plot: Plot | None
    breaks: int | None
    """Transfers that are uncertain and receipts that contradict."""


async def overview(linkage: Linkage, bearer: str) -> Overview:
    """Ask all services at the same time."""
    at = datetime.now(UTC)
    services, known = await asyncio.gather(linkage.standing(), _of_the_bridge(linkage, bearer))
    if known is None:
        return Overview(at, services, None, None, None, None)
    registries, flows, breaks = known
    count = len(breaks["uncertain"]) + sum(row["receipts"] for row in breaks["conflicts"])
    picture = plot(flows["by_minute"], datetime.fromisoformat(flows["at"]))
    return Overview(at, services, registries, _directions(registries, flows), picture, count)


async def _of_the_bridge(linkage: Linkage, bearer: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_or_none(linkage, bearer, path)) for path in ("/registries", "/flows", "/breaks")]
    registries, flows, breaks = (task.result() for task in asked)
    return None if registries is None or flows is None or breaks is None else (registries, flows, breaks)


async def _or_none(linkage: Linkage, bearer: str, path: str) -> dict[str, Any] | None:
    try:
        return await linkage.ask(bearer, BRIDGE, path)
    except NotReached:
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
