"""A user's command that the demo runs while all is up: it may begin what it likes, and nothing of it stays."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from deploy.tryout.local.processes import run_in_shell
from tests.support.processes import lives, numbers
from tests.support.waiting import eventually


async def stopped(command: str, pids: Path, count: int) -> list[int]:
    """Run a command, cancel it once it has written so many process ids, and give these."""
    running = asyncio.create_task(run_in_shell(command, os.environ))
    await eventually(lambda: len(numbers(pids)) == count, what="its processes")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, timeout=20)
    return numbers(pids)


async def test_a_command_that_had_begun_another_was_ended_and_the_other_lived_on(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    found = await stopped(f"sleep 300 & echo $$ $! > {pids}; wait", pids, 2)
    await eventually(lambda: not any(map(lives, found)), what="the end of both")


async def test_a_command_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    found = await stopped(f"trap '' TERM; sleep 300 & echo $$ $! > {pids}; wait; sleep 300", pids, 2)
    await eventually(lambda: not any(map(lives, found)), what="the end of both")


async def test_what_a_command_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert await run_in_shell(f"sleep 300 & echo $! > {pids}; exit 7", os.environ) == 7
    await eventually(lambda: not any(map(lives, numbers(pids))), what="the end of what it left")


async def test_a_command_that_is_told_to_end_may_tidy_up(tmp_path: Path) -> None:
    pids, tidied = tmp_path / "pids", tmp_path / "tidied"
    await stopped(f"trap 'touch {tidied}; exit' TERM; echo $$ > {pids}; while :; do sleep 0.05; done", pids, 1)
    assert tidied.exists()
