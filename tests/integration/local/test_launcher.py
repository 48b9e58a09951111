"""The launcher with processes that do nothing but answer: start, faults, restart, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import all_topics
from deploy.operate.errors import EnvironmentProblem, ProcessFailed
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.specs import ProcessSpec
from deploy.tryout.local.stack import Stack
from tests.support.processes import lives
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
FAKE = "tests.support.fake_process"
TABLE = [
    ProcessSpec("one", FAKE, "one"),
    ProcessSpec("one-1", FAKE, "one", instance=1),
    ProcessSpec("two", FAKE, "two", registry="gz", reads_kafka=False),
    ProcessSpec("three", FAKE, "three", registry="gz"),
]


def options(**settings: str) -> StackOptions:
    return StackOptions(kinds={}, broker="embedded", settings=settings, ready_seconds=10)


def contents(path: str) -> tuple[str, int]:
    return Path(path).read_text(), Path(path).stat().st_mode


def pids(stack: Stack) -> list[int]:
    found = [child.pid for child in stack.processes.values()] + [stack.broker.pid, stack.postgres.pid]
    return [pid for pid in found if pid is not None]


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack(options(AWAIT_FACTS="5"), table=TABLE, on_death=lambda failure: None) as running:
        yield running


async def told_by(stack: Stack, name: str) -> dict[str, str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer: dict[str, str] = (await client.get(stack.url(name))).json()
    return {key.removeprefix("SHUANGCHENG_"): value for key, value in answer.items()}


async def test_every_process_is_told_its_own_environment(stack: Stack) -> None:
    one, second, two, three = [await told_by(stack, name) for name in ("one", "one-1", "two", "three")]
    assert one["KAFKA"] == stack.broker.address
    assert one["PROFILE"] == "embedded"
    assert one["AWAIT_FACTS"] == "5"
    assert one["DATABASE"] == second["DATABASE"] == stack.dsn["one"]
    assert "KAFKA" not in two
    assert two["REGISTRY"] == "gz"
    assert three["REGISTRY"] == "gz"


async def test_a_process_reads_the_tokens_that_the_stack_knows(stack: Stack) -> None:
    text, mode = contents((await told_by(stack, "one"))["TOKENS_FILE"])
    assert yaml.safe_load(text) == {stack.tokens["operator"]: "operator"}
    assert mode & 0o077 == 0


async def test_each_database_lets_in_its_own_role_only(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.dsn["one"])
    await connection.close()
    elsewhere = stack.dsn["one"].removesuffix("/one") + "/two"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(elsewhere)


async def test_the_topics_of_the_contracts_are_there(stack: Stack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.broker.address)
    await admin.start()
    try:
        assert {entry.name for entry in all_topics([])} <= set(await admin.list_topics())
    finally:
        await admin.close()


async def test_a_killed_process_is_started_again_at_the_same_address(stack: Stack) -> None:
    before, url = stack.processes["one"].pid, stack.url("one")
    stack.processes["one"].kill()
    await stack.start("one", settings={"FAILPOINT": "P3"})
    assert stack.processes["one"].pid != before
    assert stack.url("one") == url
    assert (await told_by(stack, "one"))["FAILPOINT"] == "P3"
    assert not stack.deaths


async def test_a_process_that_dies_unasked_is_reported_with_its_last_lines(stack: Stack) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"{stack.url('three')}/die")
    with pytest.raises(ProcessFailed, match="three ended with status 3") as raised:
        await asyncio.wait_for(stack.wait(), timeout=5)
    assert "dying as asked" in str(raised.value)
    await stack.start("three")


async def test_a_process_that_dies_is_started_again_where_that_is_wanted() -> None:
    wanted = replace(options(), start_again=True)
    told: list[str] = []
    async with Stack(wanted, table=TABLE[:1], on_death=lambda failure: told.append(str(failure))) as stack:
        before = stack.processes["one"].pid
        assert before is not None
        os.kill(before, signal.SIGKILL)

        async def answers() -> bool:
            return stack.processes["one"].pid not in (None, before) and bool(await told_of(stack))

        async def told_of(stack: Stack) -> dict[str, str]:
            try:
                return await told_by(stack, "one")
            except httpx.HTTPError:
                return {}

        await eventually(answers)
        assert ["one was ended by signal 9" in text for text in told] == [True]


async def test_nothing_is_left_behind() -> None:
    async with Stack(options(), table=TABLE) as stack:
        started, folder = pids(stack), stack.folder
        assert len(started) == len(TABLE) + 2
    assert [pid for pid in started if lives(pid)] == []
    assert not folder.exists()


@pytest.mark.parametrize(
    ("fault", "ready_seconds", "message"),
    [
        ("migrate", 120, "cannot migrate"),
        ("start", 120, "cannot start: no such luck"),
        ("never-ready", 5, "was not ready after 5 s; it says: 503"),
    ],
)
async def test_a_launch_that_fails_says_why_and_leaves_nothing(fault: str, ready_seconds: int, message: str) -> None:
    given = StackOptions(kinds={}, broker="embedded", settings={"FAULT": fault}, ready_seconds=ready_seconds)
    stack = Stack(given, table=TABLE)
    with pytest.raises(ProcessFailed) as raised:
        await stack.__aenter__()
    assert message in str(raised.value)
    assert pids(stack) == []
    assert (stack.folder / "logs").is_dir(), "the logs of a failed launch stay"


async def test_a_launch_on_a_broker_that_is_not_there_stops_the_database_again() -> None:
    stack = Stack(StackOptions(kinds={}, broker="127.0.0.1:1"), table=TABLE)
    with pytest.raises(EnvironmentProblem, match="no Kafka broker answers"):
        await stack.__aenter__()
    assert stack.postgres.pid is None


LAUNCHER = """
import asyncio
from tests.integration.local.test_launcher import TABLE, options, pids
from deploy.cli.running import run
from deploy.tryout.local.stack import Stack

async def main():
    async with Stack(options(), table=TABLE) as stack:
        print(*pids(stack), flush=True)
        await stack.wait()

run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_however_the_launcher_ends_no_process_stays(ending: signal.Signals) -> None:
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCHER), cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert launcher.stdout is not None
    started = [int(word) for word in (await asyncio.wait_for(launcher.stdout.readline(), timeout=60)).split()]
    assert len(started) == len(TABLE) + 2
    assert all(lives(pid) for pid in started)
    os.kill(launcher.pid, ending)
    await launcher.wait()
    await eventually(lambda: not any(lives(pid) for pid in started), what="the end of all processes")
