"""Several services in one process have settings, lines, metrics and failpoints of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from services.chassis.base import failpoints, logs, metrics
from services.chassis.base.settings import read_settings
from services.chassis.process.part import ServicePart
from tests.support.log_lines import Lines, written


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What was written since the last look."""
    with written(capsys, logs.configure, "process") as found:
        yield found


async def as_parts(**work: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
    """Do each of these as a service of the same event loop, which has the name given."""

    async def part(name: str, does: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        ServicePart(f"services.{name}", {"SHUANGCHENG_PROFILE": "test"})
        # Of what a service begins, most is done by tasks that its first task makes.
        return await asyncio.create_task(does())

    return await asyncio.gather(*(part(name, does) for name, does in work.items()))


async def test_each_service_writes_lines_with_its_own_fields(lines: Lines) -> None:
    def saying(instance: int) -> Callable[[], Coroutine[Any, Any, None]]:
        async def say() -> None:
            logs.about(instance=instance)
            await asyncio.sleep(0)
            logs.log().info("started")

        return say

    await as_parts(identity=saying(3), attendance=saying(4))
    assert {(line["service"], line["instance"]) for line in lines()} == {("identity", 3), ("attendance", 4)}


async def test_what_one_service_repeats_is_still_written_when_another_says_it(lines: Lines) -> None:
    async def fail() -> None:
        for number in range(10):
            logs.log().warning("broker away", detail=f"OSError: {number}")
        logs.end()

    await as_parts(identity=fail, attendance=fail)
    assert sorted((line["service"], line["event"], line.get("count", 1)) for line in lines()) == [
        (name, event, count)
        for name in ("attendance", "identity")
        for event, count in (("broker away", 1), ("no longer repeated", 10))
    ]


async def test_each_service_counts_for_itself() -> None:
    async def relay() -> bytes:
        metrics.own().relayed.inc(7)
        return metrics.exposition([metrics.Figure("ready", 1.0)])

    async def stand() -> bytes:
        return metrics.exposition([metrics.Figure("ready", 0.0)])

    busy, idle = (text.decode().splitlines() for text in await as_parts(identity=relay, attendance=stand))
    assert {"shuangcheng_relayed_total 7.0", "shuangcheng_ready 1.0"} <= set(busy)
    assert {"shuangcheng_relayed_total 0.0", "shuangcheng_ready 0.0"} <= set(idle)
    assert any(line.startswith("process_resident_memory_bytes ") for line in idle)


async def test_settings_come_from_the_environment_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUANGCHENG_BATCH", "17")
    assert read_settings().batch == 17
    given = read_settings(environment={"SHUANGCHENG_LANES": "3"})
    assert (given.batch, given.lanes) == (500, 3)


def test_a_failpoint_of_one_service_is_not_passed_by_another() -> None:
    code = (
        "import contextvars\n"
        "from services.chassis.base.failpoints import arm, begin, failpoint\n"
        "one, other = contextvars.copy_context(), contextvars.copy_context()\n"
        "one.run(begin); other.run(begin)\n"
        "one.run(arm, 'P3')\n"
        "other.run(failpoint, 'P3'); failpoint('P3'); print('alive', flush=True)\n"
        "one.run(failpoint, 'P3')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert (ended.stdout, ended.returncode) == ("alive\n", -signal.SIGKILL), ended.stderr
    failpoints.failpoint("P3")
