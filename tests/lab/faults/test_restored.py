"""Each service put back to an earlier moment of a course in which everything happens: a few of the matrix's cells."""

from __future__ import annotations

import pytest

from tests.lab.faults import report, table
from tests.lab.faults.restored import EVERY_DAY
from tests.lab.faults.running import run
from tests.lab.faults.site import site
from tests.support.backends import Backends

_PATIENCE = 4.0


@pytest.mark.whole
@pytest.mark.timeout(900)
async def test_a_service_that_was_restored_says_and_does_nothing_otherwise(backends: Backends) -> None:
    """All of them: ``make faults ARGS="--only restored"``."""
    assert backends.broker is not None
    if backends.broker.kind == "address":
        pytest.skip("the course begins on topics in which nothing stands")
    profile = "test" if backends.broker.idempotent else "embedded"
    cells = table.chosen(table.cells(), only=EVERY_DAY, slice_=None, seed=1)
    async with site(backends.broker.kind, patience=_PATIENCE, profile=profile) as place:
        rows = await run(place, cells, 1, lambda row: print(report.line(row)))
    red = [row for row in rows if row.verdict != "green"]
    assert not red, "\n".join(report.line(row) for row in red)
