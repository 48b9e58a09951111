"""One registry floods; what the other's hosts attest meanwhile is credited as fast as ever (DESIGN §4)."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

from contracts.messages.service import CheckedIn
from deploy.demo.lines import Letter
from tests.faults.cell import Cell, Outcome
from tests.faults.load import Planned, letter, letters, plan
from tests.faults.site import Site

__all__ = ["flood_cells"]

_LIMIT_SECONDS: Final = 3.0
_PER_SECOND: Final = 20
_ATTESTED: Final = 200
_LEAST_MEASURED: Final = 40


def flood_cells(*, full: bool) -> list[Cell]:
    """One cell: gz floods, sz sends at its usual rate."""
    count = 50_000 if full else 10_000
    fault = f"gz floods with {count} check-ins while sz's hosts attest {_PER_SECOND} services a second"
    return [Cell("flood", "bridge", fault, partial(_flooded, count), takes=50)]


async def _flooded(count: int, site: Site, rng: random.Random) -> Outcome:
    visitors = plan(rng, 40, direction=("sz", "gz"))
    usual = [one for one in plan(rng, _ATTESTED * 2, direction=("gz", "sz")) if len(one.said) == 8][:_ATTESTED]
    await site.publish(letters(visitors))
    await site.publish([said for one in usual for said in one.said[:-1]])
    await site.drained()
    flood = [_check_in(rng, rng.choice(visitors)) for _ in range(count)]
    begun = time.monotonic()
    flooding = asyncio.ensure_future(site.publish(flood))
    sent = await _attest(site, usual, flooding)
    await flooding
    await site.drained()
    recovered = time.monotonic() - begun
    during = [one for one in usual if one.visit.home_ref in sent]
    await site.publish([one.said[-1] for one in usual if one.visit.home_ref not in sent])
    await site.drained()
    checks, notes = await site.judge([*visitors, *usual])
    waits = await _waits(site, during, sent)
    p50, p99 = _quantile(waits, 0.5), _quantile(waits, 0.99)
    checks["enough_measured"] = len(waits) >= _LEAST_MEASURED
    checks[f"p99_within_{_LIMIT_SECONDS:.0f}_s"] = p99 < _LIMIT_SECONDS
    seen = f"{len(waits)} attested during the flood: credited after p50 {p50:.2f} s, p99 {p99:.2f} s"
    return Outcome(checks, recovered, [seen, *notes])


def _check_in(rng: random.Random, one: Planned) -> Letter:
    said = CheckedIn(volunteer_ref=one.visit.host_ref, at=one.visit.start, method="scan", **one.visit.shift)
    return letter(rng, one.visit.host, said, one.visit.start)


async def _attest(site: Site, usual: list[Planned], flooding: asyncio.Future[None]) -> dict[str, datetime]:
    """At the usual rate, until the flood is applied or all is said; gives when each was published."""
    sent: dict[str, datetime] = {}
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, one in enumerate(usual):
        await asyncio.sleep(max(0.0, start + number / _PER_SECOND - loop.time()))
        if number % _PER_SECOND == 0 and flooding.done() and not (await site.quiet.look()).work["bridge", "unread"]:
            break
        sent[one.visit.home_ref] = datetime.now(UTC)
        await site.publish([one.said[-1]])
    return sent


async def _waits(site: Site, during: list[Planned], sent: dict[str, datetime]) -> list[float]:
    """Seconds from the attestation to the row in the home's own database."""
    sql = "SELECT ref, min(at) AS at FROM posting WHERE ref = ANY($1) GROUP BY ref"
    rows = await site.books.fetch("sandbox_gz", sql, [one.visit.home_ref for one in during])
    return sorted((row["at"] - sent[row["ref"]]).total_seconds() for row in rows)


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("inf")
