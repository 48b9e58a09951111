"""Doing cells one after the other to one site, and having the whole judged from outside."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Sequence

from deploy.operate.errors import LocalError
from deploy.tryout.demo.quiet import Stuck
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.report import Row, commit
from tests.lab.faults.site import Site

__all__ = ["run"]


async def run(
    site: Site, table: Sequence[Cell], seed: int, tell: Callable[[Row], None], *, judged_every: int = 10
) -> list[Row]:
    """Give a row for each cell.

    The outside checker judges after so many cells, after a red one, and before topics are cut; its verdict stands in
    each of the rows judged together, and none of them is told before.
    """
    at, rows = commit(), []
    unjudged: list[Row] = []
    for number, cell in enumerate(table):
        row = Row(cell.id, cell.service, cell.fault, seed, at)
        rows.append(row)
        if cell.act is None:
            row.notes = [cell.impossible]
        else:
            await _one(site, cell, row)
        if cell.leaves == "cut":
            tell(row)
        else:
            unjudged.append(row)
        rest = any(later.act is not None and later.leaves == "whole" for later in table[number + 1 :])
        done = sum(one.verdict != "n/a" for one in unjudged)
        if unjudged and (done >= judged_every or not rest or row.verdict == "red"):
            await _outside(site, [one for one in unjudged if one.verdict != "n/a"])
            for one in unjudged:
                tell(one)
            unjudged.clear()
        if row.verdict == "red":
            await _tidied(site, row)
    return rows


async def _one(site: Site, cell: Cell, row: Row) -> None:
    assert cell.act is not None
    begun = time.monotonic()
    try:
        await site.configure(cell.capability)
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
    if not rows:
        return
    try:
        green, notes = await site.outside()
    except Exception as error:
        green, notes = False, [f"{type(error).__name__}: {error}"[:500]]
    for row in rows:
        row.checks["outside_checker"] = green
        if not green:
            row.notes = [*row.notes, *(f"checker over {len(rows)} cells: {note}" for note in notes)]
        row.settle()


async def _tidied(site: Site, row: Row) -> None:
    """What a red cell left must not be put to the account of the next one."""
    try:
        await site.tidy()
    except Exception as error:
        row.notes = [*row.notes, f"not tidied: {type(error).__name__}: {error}"[:500]]
