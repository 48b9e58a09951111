"""Both homes away while thousands of service records wait for them, and then both back at once."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Sequence
from typing import Final

from deploy.operate.ends import Ends
from tests.lab.faults.answers import deliveries
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import DIRECTIONS, Story
from tests.lab.faults.mass import attested, in_portions, mass, prepared
from tests.lab.faults.site import SETTINGS, Site

__all__ = ["down_cells"]

_PEOPLE, _DAYS = 1000, 5
"""In each direction."""
_HOMES: Final = ("sandbox_gz", "sandbox_sz")
_AWAY: Final = b"system away"
_CALLERS: Final = 3
"""Credits, notices and listening: each asks again after 0.2, 0.4, ... and then every 5 s."""


def down_cells() -> list[Cell]:
    """One cell: 10,000 records of both directions."""
    fault = f"both homes killed while {2 * _PEOPLE * _DAYS} records wait"
    return [Cell("homes-down", "homes", fault, _down, takes=180)]


async def _down(site: Site, rng: random.Random) -> Outcome:
    stories = [one for direction in DIRECTIONS for one in mass(rng, _PEOPLE, _DAYS, direction)]
    phases = await prepared(site, stories)
    since = await site.quiet.ends()
    for name in _HOMES:
        site.child(name).kill()
        await site.child(name).wait()
    down, seen = time.monotonic(), len(site.child("adapter_sz").log.read_bytes())
    await in_portions(site, attested(stories))
    refs = [record.record_ref for story in stories for record in story.records]
    sql = "SELECT count(*) FROM transfer WHERE record_ref = ANY($1) AND state = 'sent'"
    await site.until(lambda: site.books.value("bridge", sql, refs), len(refs), seconds=120)
    away = time.monotonic() - down
    phases.seconds[f"{len(refs)} attested, sent and unanswered"] = away
    tried = site.child("adapter_sz").log.read_bytes()[seen:].count(_AWAY)
    begun = time.monotonic()
    await asyncio.gather(*(site.start(name) for name in _HOMES))
    await site.drained()
    recovered = time.monotonic() - begun
    phases.seconds["back and all credited"] = recovered
    checks, notes = await site.judge(stories)
    begun = time.monotonic()
    most = await _posted_at_most(site, since, stories)
    phases.seconds["judged"] = time.monotonic() - begun
    checks |= {"credits_were_posted_again_less_and_less": most <= _bound(away + recovered)}
    checks["adapter_left_its_system_in_peace"] = 0 < tried <= _CALLERS * (6 + away / 5)
    seen_ = (
        f"{len(refs)} waited {away:.0f} s; a credit was posted {most} times at most, the system called {tried} times"
    )
    return Outcome(checks, recovered, [seen_, str(phases), *notes])


async def _posted_at_most(site: Site, since: Ends, stories: Sequence[Story]) -> int:
    told = await deliveries(site, since, [record for story in stories for record in story.records])
    return max(told.values())


def _bound(seconds: float) -> int:
    """Postings of one credit without an answer: the first, and one more each time that the wait has doubled."""
    return 2 + math.ceil(math.log2(1 + seconds / float(SETTINGS["RECEIPT_DUE"])))
