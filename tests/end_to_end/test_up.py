"""`shuangcheng up` as a user runs it: everything ready, one JSON document, and nothing left after Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.linkage import SERVICES
from tests.support.processes import lives
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.whole

SHELL = {
    "PGSSLMODE": "verify-full",
    "PGTARGETSESSIONATTRS": "standby",
    "PGHOST": "db.invalid",
    "PYTHONIOENCODING": "ascii",
}
"""Of somebody who works with another PostgreSQL, on a narrow terminal: it changes nothing."""


@pytest.fixture
async def launcher(request: pytest.FixtureRequest) -> AsyncIterator[asyncio.subprocess.Process]:
    arguments = getattr(request, "param", "up").split()
    command = ["-m", "deploy.cli.main", *arguments, "--json", "--broker", "embedded"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        cwd=ROOT,
        env=dict(os.environ) | SHELL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def ready(launcher: asyncio.subprocess.Process) -> dict[str, Any]:
    """Wait for the line that says so on standard error, then read the document."""
    assert launcher.stdout is not None
    assert launcher.stderr is not None
    said = b""
    while not said.endswith(b"stops everything\n"):
        line = await asyncio.wait_for(launcher.stderr.readline(), timeout=90)
        assert line, f"it ended: {said.decode()}"
        said += line
    text = b""
    while not text.endswith(b"\n}\n"):
        text += await launcher.stdout.readline()
    document: dict[str, Any] = json.loads(text)
    return document


def left(folder: str) -> bool:
    return Path(folder).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(("launcher", "count"), [("up", 7), ("up --one-process", 1)], indirect=["launcher"])
async def test_up_is_ready_with_every_process_and_leaves_none_after_ctrl_c(
    launcher: asyncio.subprocess.Process, count: int
) -> None:
    document = await ready(launcher)
    processes = document["processes"]
    assert {*SERVICES, "sandbox_gz", "sandbox_sz"} <= set(processes)
    async with httpx.AsyncClient(trust_env=False) as client:
        for name, process in processes.items():
            answer = await client.get(f"{process['url']}/health/ready")
            assert answer.status_code == 200, f"{name}: {answer.text}"
    assert len({process["pid"] for process in processes.values()}) == count
    assert set(document["tokens"]) == {"operator", "registry:gz", "registry:sz", "system:gz", "system:sz"}
    launcher.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(launcher.wait(), timeout=120) == 0
    pids = [process["pid"] for process in processes.values()]
    await eventually(lambda: not any(map(lives, pids)), what="the end of all processes")
    assert not left(document["folder"])


@pytest.mark.parametrize("launcher", ["play"], indirect=True)
async def test_play_says_where_the_pages_are_and_how_to_sign_in_and_has_shifts_that_begin_soon(
    launcher: asyncio.subprocess.Process,
) -> None:
    document = await ready(launcher)
    async with httpx.AsyncClient(base_url=document["processes"]["sandbox_gz"]["url"], trust_env=False) as http:
        form = (await http.get("/sign-in")).text
        secret = form.split('name="csrf" value="')[1].split('"')[0]
        given = {"csrf": secret, "ref": "gz-20400101", "passcode": document["passcode"]}
        assert (await http.post("/sign-in", data=given)).headers["location"] == "/"
        assert "陈嘉明" in (await http.get("/")).text

        async def found() -> bool:
            return "图书馆暑期整架" in (await http.get("/find", params={"text": "图书馆"})).text

        await eventually(found)
    launcher.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(launcher.wait(), timeout=120) == 0
    assert not left(document["folder"])


@pytest.mark.parametrize("launcher", ["play --processes"], indirect=True)
async def test_play_with_processes_starts_again_what_dies(launcher: asyncio.subprocess.Process) -> None:
    document = await ready(launcher)
    bridge = document["processes"]["bridge"]
    assert len({process["pid"] for process in document["processes"].values()}) == len(document["processes"])
    os.kill(bridge["pid"], signal.SIGKILL)
    await eventually(lambda: not lives(bridge["pid"]), what="the end of the bridge")
    async with httpx.AsyncClient(trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get(f"{bridge['url']}/health/ready")).status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

        await eventually(answers, what="another bridge at the same address")
    launcher.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(launcher.wait(), timeout=120) == 0
    assert launcher.stderr is not None
    assert b"bridge was ended by signal 9; it is started again" in await launcher.stderr.read()
