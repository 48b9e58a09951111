"""An entity whose first decision raised, a thousand behind it; released over HTTP while more keep arriving."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from datetime import timedelta
from typing import Final

import httpx
from pydantic import SecretStr

from deploy.audit.world import code_of
from deploy.operate.lines import Letter
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import LATE, Record, Story, letter, letters, visits
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.naming import own_id

__all__ = ["raised_cells"]

_SERVICE: Final = "attendance"
_BEHIND, _MORE = 1000, 300
_LIMIT: Final = 60.0
_BIT, _PAUSE = 20, 0.2
"""So many more at a time, and seconds between them."""


def raised_cells() -> list[Cell]:
    """One cell, on the service that decides about minutes."""
    fault = f"a record's first decision raises, {_BEHIND} versions stand behind it, {_MORE} more come at its release"
    return [Cell("raised-behind", _SERVICE, fault, _raised, takes=40)]


async def _raised(site: Site, rng: random.Random) -> Outcome:
    """Versions of one record: once a newer one is decided an older one is history, and nobody hears of it."""
    (visited,) = visits(rng, 1, kind="plain")
    others = plan(rng, 8)
    await site.publish(letters([visited], but=LATE))
    await site.drained()
    story, versions = _versions(rng, visited)
    secret = SecretStr(site.stack.naming_secrets["bridge"])
    await site.restart(_SERVICE, RAISE_ON=str(own_id(code_of(versions[0].topic), versions[0].event.id, secret)))
    await site.publish([*versions[: _BEHIND + 1], *letters(others)])
    waiting = {"raised": 1, "behind": _BEHIND}
    await site.until(lambda: _aside(site), waiting, seconds=_LIMIT)
    refs = [record.record_ref for other in others for record in other.records]
    decided = "SELECT count(*) FROM audit_served WHERE record_ref = ANY($1) AND status <> 'pending'"
    await site.until(lambda: _told(site, decided, refs), len(refs), seconds=_LIMIT)
    checks = {"nobody_else_waited": await _aside(site) == waiting}
    begun = time.monotonic()
    left = versions[_BEHIND + 1 :]
    arriving = asyncio.ensure_future(_keep_coming(site, left))
    answer = await _release(site)
    checks["more_came_after_the_release"] = bool(left)
    await arriving
    await site.drained()
    recovered = time.monotonic() - begun
    of_record = "SELECT count(*) FROM decision WHERE record_ref = $1"
    count = await _told(site, of_record, visited.visit.record_ref)
    more, notes = await site.judge([story, *others])
    checks |= more
    checks["released_over_http"] = answer.is_success
    checks["every_version_was_decided_in_its_turn"] = count == len(versions)
    await site.restart(_SERVICE)
    return Outcome(checks, recovered, [f"{count} versions decided; the release answered {answer.text[:200]}", *notes])


def _versions(rng: random.Random, visited: Story) -> tuple[Story, list[Letter]]:
    """Very many versions of one record."""
    visit = visited.visit
    minutes = [rng.randrange(60, 240) for _ in range(1 + _BEHIND + _MORE)]
    said = []
    for number, worth in enumerate(minutes):
        at = visit.start + timedelta(hours=5, seconds=number)
        said.append(letter(rng, *visit.attest(worth, number + 1), at))
    opening = letters([visited], but=LATE)
    story = replace(visited, said=(*opening, *said), records=(Record.of(visit, minutes[-1]),))
    return story, said


async def _aside(site: Site) -> dict[str, int]:
    rows = await site.books.fetch(_SERVICE, "SELECT reason, count(*) AS n FROM set_aside GROUP BY reason")
    return {row["reason"]: row["n"] for row in rows if row["reason"] in ("raised", "behind")}


async def _told(site: Site, sql: str, of: object) -> int:
    return sum([await site.books.value(f"sandbox_{code}", sql, of) for code in ("gz", "sz")])


async def _keep_coming(site: Site, left: list[Letter]) -> None:
    while left:
        await site.publish(left[:_BIT])
        del left[:_BIT]
        await asyncio.sleep(_PAUSE)


async def _release(site: Site) -> httpx.Response:
    """As an operator does: look, and release what raised."""
    address, bearer = site.stack.url(_SERVICE), {"authorization": f"Bearer {site.stack.tokens['operator']}"}
    async with httpx.AsyncClient(timeout=10.0, trust_env=False, headers=bearer) as client:
        listed = (await client.get(f"{address}/operations/set-aside", params={"reason": "raised"})).json()
        body = {"sequences": [one["seq"] for one in listed["messages"]]}
        return await client.post(f"{address}/operations/set-aside/release", json=body)
