"""One registry floods; what the other's hosts attest meanwhile is credited as fast as ever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from contracts.messages.service import CheckedIn
from deploy.operate.lines import Letter
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import LATE, Story, letter, letters, visits
from tests.lab.faults.mass import attested, in_portions, mass, prepared
from tests.lab.faults.site import Site

__all__ = ["flood_cells"]

_FLOOD: Final = 50_000
_LIMIT_SECONDS: Final = 3.0
_PER_SECOND: Final = 20
_PEOPLE, _DAYS = 200, 5
_LEAST_MEASURED: Final = 200


def flood_cells() -> list[Cell]:
    """One cell: gz floods, sz sends at its usual rate."""
    fault = f"gz floods with {_FLOOD} check-ins while sz's hosts attest {_PER_SECOND} services a second"
    return [Cell("flood", "bridge", fault, _flooded, takes=110)]


async def _flooded(site: Site, rng: random.Random) -> Outcome:
    visitors = visits(rng, 40, direction=("sz", "gz"), kind="plain")
    usual = mass(rng, _PEOPLE, _DAYS, ("gz", "sz"))
    await site.publish(letters(visitors, but=LATE))
    phases = await prepared(site, usual)
    flood = [_check_in(rng, rng.choice(visitors)) for _ in range(_FLOOD)]
    said = attested(usual)
    begun = time.monotonic()
    flooding = asyncio.ensure_future(in_portions(site, flood))
    sent = await _attest(site, said, flooding)
    await flooding
    flooded = time.monotonic() - begun
    await site.publish([one for one in said if one.event.id not in sent])
    await site.publish(letters(visitors, only=LATE))
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge([*visitors, *usual])
    waits = await _waits(site, {one.event.data.record_ref: sent[one.event.id] for one in said if one.event.id in sent})  # type: ignore[attr-defined]
    p50, p99 = _quantile(waits, 0.5), _quantile(waits, 0.99)
    checks["enough_measured"] = len(waits) >= _LEAST_MEASURED
    checks |= site.in_time("p99", p99, _LIMIT_SECONDS)
    seen = f"{len(waits)} attested during {flooded:.0f} s of flood: credited after p50 {p50:.2f} s, p99 {p99:.2f} s"
    return Outcome(checks, recovered, [seen, str(phases), *notes])


def _check_in(rng: random.Random, one: Story) -> Letter:
    visit = one.visit
    said = CheckedIn(volunteer_ref=visit.host_ref, at=visit.start, method="scan", **visit.shift)
    return letter(rng, visit.host, said, visit.start)


async def _attest(site: Site, said: Sequence[Letter], flooding: asyncio.Future[None]) -> dict[str, datetime]:
    """At the usual rate, until the flood is applied or all is said; gives when each was published, by id."""
    sent: dict[str, datetime] = {}
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, one in enumerate(said):
        await asyncio.sleep(max(0.0, start + number / _PER_SECOND - loop.time()))  # the usual rate
        if number % _PER_SECOND == 0 and flooding.done() and not await _flood_stands(site):
            break
        sent[one.event.id] = datetime.now(UTC)
        await site.publish([one])
    return sent


async def _flood_stands(site: Site) -> bool:
    """Whether much of it is still to be read at the border."""
    return (await site.quiet.look()).work["bridge", "unread"] > _PER_SECOND


async def _waits(site: Site, sent: dict[str, datetime]) -> list[float]:
    """Seconds from the attestation, by record, to the row in the home's own database."""
    sql = "SELECT record_ref, min(at) AS at FROM posting WHERE record_ref = ANY($1) GROUP BY record_ref"
    rows = await site.books.fetch("sandbox_gz", sql, list(sent))
    return sorted((row["at"] - sent[row["record_ref"]]).total_seconds() for row in rows)


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("inf")
