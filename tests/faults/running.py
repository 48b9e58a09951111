"""Doing cells one after the other to one site, and having the whole judged from outside."""

from __future__ import annotations

import contextlib
import random
import time
import traceback
from collections.abc import Callable, Sequence

from deploy.demo.quiet import Stuck
from deploy.local.errors import LocalError
from tests.faults.cell import Cell, Outcome
from tests.faults.report import Row, commit
from tests.faults.site import Site

__all__ = ["run"]


async def run(
    site: Site, table: Sequence[Cell], seed: int, tell: Callable[[Row], None], *, judged_every: int = 10
) -> list[Row]:
    """Give a row for each cell. The outside checker judges after so many cells: its verdict stands in each of them."""
    at, rows, unjudged = commit(), [], []
    for number, cell in enumerate(table):
        row = Row(cell.id, cell.service, cell.fault, seed, at)
        rows.append(row)
        if cell.act is None:
            row.notes = [cell.impossible]
            tell(row)
            continue
        await _one(site, cell, row)
        if cell.leaves == "whole" and row.verdict != "n/a":
            unjudged.append(row)
        rest = [later for later in table[number + 1 :] if later.act is not None and later.leaves == "whole"]
        if unjudged and (len(unjudged) >= judged_every or not rest or row.verdict == "red"):
            await _outside(site, unjudged)
            unjudged = []
        tell(row)
        if row.verdict == "red":
            await _tidy(site)
    return rows


async def _one(site: Site, cell: Cell, row: Row) -> None:
    assert cell.act is not None
    begun = time.monotonic()
    try:
        outcome = await cell.act(site, random.Random(f"{cell.id}/{row.seed}"))
    except NotImplementedError as error:  # a broker or database that somebody else runs
        row.notes = [str(error)]
        return
    except (Stuck, LocalError, AssertionError, OSError) as error:
        outcome = Outcome({"came_to_an_end": False}, None, [f"{type(error).__name__}: {error}"[:1500]])
    except Exception:
        outcome = Outcome({"came_to_an_end": False}, None, [traceback.format_exc()[-1500:]])
    row.seconds = round(time.monotonic() - begun, 1)
    row.recovered_seconds = None if outcome.recovered_seconds is None else round(outcome.recovered_seconds, 1)
    row.checks, row.notes = outcome.checks, outcome.notes
    row.settle()


async def _outside(site: Site, rows: Sequence[Row]) -> None:
    try:
        green, notes = await site.outside()
    except Exception as error:
        green, notes = False, [f"{type(error).__name__}: {error}"[:500]]
    for row in rows:
        row.checks["outside_checker"] = green
        if not green:
            row.notes = [*row.notes, *(f"checker over {len(rows)} cells: {note}" for note in notes)]
        row.settle()


async def _tidy(site: Site) -> None:
    """After a red cell: every process of the journey up again, so that the next one is not blamed for it."""
    for name in [name for name in site.stack.specs if not name.endswith("-1")]:
        if not site.child(name).running:
            with contextlib.suppress(LocalError):
                await site.stack.start(name)
    look = await site.quiet.look()
    site.leftover = {place: count for place, count in look.work.items() if count}
