"""What `--then` runs while all is up: its failure is the demo's, and it does not outlive the demo."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.operate.outcome import INTERRUPTED
from deploy.tryout.cli.demo import Wishes, conclude
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.screen import Screen
from tests.support.processes import lives, numbers
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
_LAST_STEP = """
import sys
from pathlib import Path
from deploy.tryout.cli.demo import Wishes, conclude
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.screen import Screen
from deploy.operate.outcome import outcome
sys.exit(outcome(conclude(Wishes(then=sys.argv[1]), Report({"balanced": True}), Path(sys.argv[2]), Screen())))
"""
"""What a demo does last, as a process of its own."""


async def _concluded(folder: Path, then: str | None, **document: Any) -> int:
    return await conclude(Wishes(then=then), Report(document), folder, Screen())


@pytest.mark.parametrize(
    ("balanced", "then", "status"),
    [(True, None, 0), (True, "exit 0", 0), (True, "exit 3", 1), (False, "exit 0", 1), (False, None, 1)],
)
async def test_status_1_is_books_that_do_not_agree_or_a_command_that_failed(
    tmp_path: Path, balanced: bool, then: str | None, status: int
) -> None:
    assert await _concluded(tmp_path, then, balanced=balanced) == status


async def test_the_command_finds_the_report_where_its_environment_says(tmp_path: Path) -> None:
    copied = tmp_path / "copied.json"
    assert await _concluded(tmp_path, f'cp "$SHUANGCHENG_REPORT" {copied}', balanced=True, seed=7) == 0
    assert json.loads(copied.read_text("utf-8")) == {"balanced": True, "seed": 7}


async def test_a_demo_that_was_told_to_stop_left_the_command_running(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    task = asyncio.create_task(_concluded(tmp_path, f"echo $$ > {started}; exec sleep 300", balanced=True))
    pid = int(await eventually(lambda: started.is_file() and started.read_text("utf-8").strip()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_sigterm_while_the_command_runs_ends_its_shell_and_what_that_began(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _LAST_STEP, f"sleep 300 & echo $$ $! > {pids}; wait", str(tmp_path)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    await eventually(lambda: len(numbers(pids)) == 2, what="the command of --then")
    demo.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(demo.communicate(), timeout=30)
    assert demo.returncode == INTERRUPTED, said.decode()
    assert b"Traceback" not in said
    await eventually(lambda: not any(map(lives, numbers(pids))), what="the end of shell and child")
