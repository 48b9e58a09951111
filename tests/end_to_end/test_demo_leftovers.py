"""What a demo leaves when its end is not status 0: the evidence. Its words go to a pipe here."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from deploy.linkage import SERVICES
from tests.support.demo import parts_with_lines

ROOT = Path(__file__).parents[2]
DEMO = ("-m", "deploy.cli.main", "demo", "--people", "1", "--calm", "--broker", "embedded")
ONLY_FOR_TERMINALS = {"\x1b", "\r", "━"}
Start = Callable[..., Awaitable[Process]]

pytestmark = pytest.mark.whole


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a small demo."""
    begun: list[Process] = []

    async def started(*arguments: str) -> Process:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *DEMO, *arguments), cwd=ROOT, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        begun.append(process)
        return process

    yield started
    for process in begun:
        if process.returncode is None:
            process.kill()
            await process.wait()


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def report_in(folder: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((Path(folder) / "report.json").read_text("utf-8"))
    return found


def earlier(report: Path) -> None:
    report.write_text('{"balanced": true}')


def left(path: Path) -> bool:
    return path.exists()


def postmaster(folder: str) -> int:
    return int((Path(folder) / "postgresql" / "data" / "postmaster.pid").read_text().split()[0])


async def test_a_demo_that_does_not_end_well_says_where_its_logs_books_and_report_stay_and_needs_no_terminal_for_it(
    start: Start,
) -> None:
    demo = await start("--then", "exit 3")
    out, said = await asyncio.wait_for(demo.communicate(), timeout=240)
    shown = out.decode()
    assert demo.returncode == 1, said.decode()
    assert "\n  starting 7 parts in one process\n" in shown
    assert not set(shown) & ONLY_FOR_TERMINALS
    folder = re.search(r"logs stay in (\S+)/logs", shown)
    books = re.search(r"books stay as a PostgreSQL data folder, (\S+)", shown)
    assert folder is not None, shown
    assert books is not None, shown
    assert {*SERVICES, "adapter_sz"} <= parts_with_lines(Path(folder[1]))
    assert "PG_VERSION" in names(books[1])
    assert report_in(folder[1])["balanced"] is True
    await asyncio.to_thread(shutil.rmtree, folder[1])


async def test_a_demo_that_dies_under_way_says_where_its_logs_stay_and_leaves_no_report_of_an_earlier_run(
    start: Start, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    earlier(report)
    demo = await start("--json", str(report))
    assert demo.stdout is not None
    said = b""
    while b"logs in" not in said:
        line = await asyncio.wait_for(demo.stdout.readline(), timeout=120)
        assert line, said
        said += line
    folder = said.decode().partition("logs in ")[2].partition("/logs")[0]
    os.kill(postmaster(folder), signal.SIGKILL)
    _, told = await asyncio.wait_for(demo.communicate(), timeout=120)
    assert demo.returncode in (1, 2), told.decode()
    assert b"Traceback" not in told
    assert f"Logs and data of this launch stay in {folder}" in told.decode()
    assert "bridge" in parts_with_lines(Path(folder))
    assert not left(report)
    await asyncio.to_thread(shutil.rmtree, folder)
