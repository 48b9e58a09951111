"""A slice of the fault matrix as a test: other cells every day, the same for all who name the day's seed."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from tests.lab.faults import report, table
from tests.lab.faults.running import run
from tests.lab.faults.site import site
from tests.support.backends import Backends

_SECONDS = 30.0
"""For the cells; the linkage that they are done to takes its time to start and to be judged."""
_PATIENCE = 4.0
"""Tests run on whatever machine there is, beside whatever runs there: bounds on time are measured by the matrix."""


def seed_of_today() -> int:
    """``SHUANGCHENG_FAULTS_SEED``, or the day of the calendar as a number."""
    given = os.environ.get("SHUANGCHENG_FAULTS_SEED", "")
    return int(given) if given else int(datetime.now(UTC).strftime("%Y%m%d"))


@pytest.mark.whole
@pytest.mark.real_kafka
@pytest.mark.timeout(900)
async def test_a_slice_of_the_fault_matrix_is_green(backends: Backends) -> None:
    """Its own broker, for a cell may kill it. All of them: ``make faults``."""
    seed = seed_of_today()
    assert backends.broker is not None
    if backends.broker.kind == "address":
        pytest.skip("the broker is somebody else's, and is not to be killed: make faults")
    cells = table.chosen(table.cells(), only=[], slice_=_SECONDS, seed=seed)
    async with site(backends.broker.kind, patience=_PATIENCE) as place:
        rows = await run(place, cells, seed, lambda row: print(report.line(row)))
    red = [row for row in rows if row.verdict == "red"]
    assert not red, "\n".join(report.line(row) for row in red)
