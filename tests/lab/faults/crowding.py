"""A host that makes a new record of one person's day again and again: nobody else waits, and the host is told."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta
from typing import Final

from contracts.messages.service import ServiceAttested
from deploy.operate.lines import Letter
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import Story, letter, letters, visits
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.waiting import eventually

__all__ = ["crowd_cells"]

_RECORDS: Final = 3000
_MOST: Final = 50
"""So many record_refs one person may have on one day at one host."""
_CORRECTIONS: Final = 100


def crowd_cells() -> list[Cell]:
    """One cell, on the service that decides about minutes."""
    fault = f"{_RECORDS} records of one person's day under fresh refs, then {_CORRECTIONS} corrections of the first"
    return [Cell("crowd-of-one", "attendance", fault, _crowded, takes=40)]


async def _crowded(site: Site, rng: random.Random) -> Outcome:
    (visited,) = visits(rng, 1, kind="plain")
    others = plan(rng, 12)
    await site.publish(letters([visited]))
    await site.drained()
    begun = time.monotonic()
    more = [_another(rng, visited, number) for number in range(_RECORDS)]
    await site.publish([*more, *_corrections(rng, visited), *letters(others)])
    await site.drained()
    recovered = time.monotonic() - begun
    ids = [one.event.id for one in more]

    async def told() -> Counter[str]:
        found = Counter((await site.refusals(ids)).values())
        return found if found.total() >= _RECORDS - (_MOST - 1) else Counter()

    refused = await eventually(told, what="the host is told of what was too many")
    checks, notes = await site.judge([visited, *others])
    checks["what_was_too_many_was_refused"] = refused == Counter({"too_many_records": _RECORDS - (_MOST - 1)})
    checks["all_say_ready"] = await site.all_ready()
    return Outcome(checks, recovered, [f"refused {dict(refused)}", *notes])


def _another(rng: random.Random, visited: Story, number: int) -> Letter:
    visit = visited.visit
    code, said = visit.attest(60)
    assert isinstance(said, ServiceAttested)
    fresh = said.model_copy(update={"record_ref": f"{said.record_ref}-{number}"})
    return letter(rng, code, fresh, visit.start + timedelta(hours=5, seconds=number))


def _corrections(rng: random.Random, visited: Story) -> list[Letter]:
    """Versions that end where the first one was, so that the books need no other plan."""
    visit, (record,) = visited.visit, visited.records
    minutes = [rng.randrange(60, 240) for _ in range(_CORRECTIONS - 1)] + [record.minutes]
    return [
        letter(rng, *visit.attest(worth, version), visit.start + timedelta(hours=6, seconds=version))
        for version, worth in enumerate(minutes, 2)
    ]
