"""The demo on a terminal: a bar that tells what is under way, and Ctrl-C typed there."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
DEMO = ("-m", "deploy.cli.main", "demo", "--people", "20", "--calm", "--broker", "embedded")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TIMER = re.compile(r"\d:\d\d:\d\d")
BAR = "━"

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


@dataclass
class Terminal:
    """A program on a terminal of its own, and all that it wrote there."""

    process: Process
    keyboard: int
    raw: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        return self.raw.decode(errors="replace")

    def read(self) -> None:
        try:
            self.raw += os.read(self.keyboard, 65536)
        except OSError:  # the last program on it has ended
            asyncio.get_running_loop().remove_reader(self.keyboard)


def _controlling(terminal: int) -> None:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@pytest.fixture
async def terminal() -> AsyncIterator[Terminal]:
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *DEMO), cwd=ROOT, env=environment | {"TERM": "xterm"},
        stdin=screen, stdout=screen, stderr=screen, preexec_fn=lambda: _controlling(screen),
    )  # fmt: skip
    os.close(screen)
    opened = Terminal(process, keyboard)
    loop = asyncio.get_running_loop()
    loop.add_reader(keyboard, opened.read)
    yield opened
    loop.remove_reader(keyboard)
    if process.returncode is None:
        process.kill()
        await process.wait()
    os.close(keyboard)


def working_in(folder: str) -> set[int]:
    """Processes that have to do with a run folder by command line, environment or working folder."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if folder.encode() in said or str((process / "cwd").readlink()).startswith(folder):
                found.add(int(process.name))
    return found


async def test_on_a_terminal_a_bar_tells_what_is_under_way_until_ctrl_c_is_typed(terminal: Terminal) -> None:
    def step(words: str) -> bool:
        return any(
            words in line and BAR in line and TIMER.search(line) for line in ESCAPE.sub("", terminal.text).split("\r")
        )

    await eventually(lambda: step("starting 7 parts in one process"), every=0.1, what="the bar of a start")
    await eventually(lambda: "under way" in terminal.text, every=0.1, what="how much is under way")
    folder = re.search(r"logs in\s+(/\S+)/logs", ESCAPE.sub("", terminal.text))
    assert folder is not None, terminal.text
    assert working_in(folder[1])
    os.write(terminal.keyboard, b"\x03")
    assert await asyncio.wait_for(terminal.process.wait(), timeout=120) == 130
    await eventually(lambda: not working_in(folder[1]), what="the end of all processes")
    assert "Traceback" not in terminal.text
    assert "\x1b[?25h" in terminal.text[terminal.text.rindex("\x1b[?25l") :], "the cursor is not shown again"
