"""A stranger's body without an end leaves every process as it is: it is cut off long before it is kept."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.floods import BODIES, FRAMINGS, Flood
from tests.support.pages import Stage
from tests.support.processes import count_peak_from_here, held_mebibytes, peak_mebibytes

pytestmark = pytest.mark.whole

MOST_MEBIBYTES = 30
"""By so much a process may grow."""
AT_ONCE = 16
SIZE = 100 << 20
ADDRESSES = [
    ("bridge", "/operations/set-aside/release"),
    ("adapter_sz", "/operations/set-aside/discard"),
    ("operator", "/sign-in"),
    ("operator", "/set-aside/bridge/release"),
    ("sandbox_gz", "/visit"),
    ("sandbox_gz", "/organiser/p/s"),
    ("sandbox_gz", "/misbehave"),
    ("sandbox_sz", "/sign-in"),
    ("sandbox_sz", "/接口/入账"),
    ("sandbox_sz", "/接口/报送"),
]


@pytest.mark.parametrize(("process", "path"), ADDRESSES)
async def test_bodies_without_an_end_are_cut_off(stage: Stage, process: str, path: str) -> None:
    pid = stage.stack.process_of(process).pid
    assert pid is not None
    flood = Flood(stage.stack.url(process) + path, SIZE, AT_ONCE)
    before = held_mebibytes(pid)
    await asyncio.to_thread(count_peak_from_here, pid)
    heard: dict[tuple[str, str], list[int | None]] = {}
    for content_type in BODIES:
        for framing in FRAMINGS:
            heard[content_type, framing] = await flood.pour(content_type, framing)
    grown = peak_mebibytes(pid) - before
    # A body of which the rest is on its way may be cut off before the answer to it is read.
    refused = {status for statuses in heard.values() for status in statuses} - {None}
    assert refused, heard
    assert refused <= {400, 401, 403, 404, 413, 415}, heard
    assert grown < MOST_MEBIBYTES, f"{grown:.0f} MiB"
