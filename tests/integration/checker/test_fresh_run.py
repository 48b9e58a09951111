"""The checker on a run of its own, on real processes: taken anew, it is green; the recorded one is still like it.

The run has a broker of its own, of the kind that the header names: the session's holds what other tests wrote.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.audit import GatherError, World, check, gather
from deploy.audit.world import Line, Row
from deploy.tryout.local.stack import Stack
from tests.support.backends import Backends
from tests.support.checker.private import with_private_tables
from tests.support.checker.scenario import CANARY, options, run

ROOT = Path(__file__).parents[3]
RECORDED = ROOT / "tests" / "unit" / "checker" / "small_run.json.xz"

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
async def stack(backends: Backends) -> AsyncIterator[Stack]:
    if backends.broker is None:
        pytest.fail(backends.broker_says)
    if backends.broker.kind == "address":
        pytest.skip("the broker is somebody else's, and holds what others wrote: choose java or docker")
    async with Stack(options(backends.broker.kind)) as running:
        yield running


def test_the_run_is_on_the_broker_that_the_header_names(stack: Stack, backends: Backends) -> None:
    assert backends.broker is not None
    assert (stack.broker.kind, stack.broker.real_kafka) == (backends.broker.kind, backends.broker.real_kafka)


@pytest.fixture(scope="module")
async def world(stack: Stack) -> World:
    return await run(stack)


@pytest.mark.timeout(300)
def test_a_fresh_run_is_green(world: World) -> None:
    report = check(world, canaries=[CANARY])
    assert report.green, report.text()


async def test_no_table_behind_the_audit_views_holds_a_code_or_a_planted_word(stack: Stack, world: World) -> None:
    whole = await with_private_tables(world, stack.dsn)
    report = check(whole, canaries=[CANARY], only=["I14"])
    assert report.green, report.text()
    found = {one.what.rpartition(" in ")[2] for one in check(whole, canaries=["river-tue"], only=["I14"]).all}
    assert "opportunities.shift (private)" in found


def test_the_recorded_run_is_still_what_a_run_looks_like(world: World) -> None:
    """When this fails: ``python -m tests.support.checker.scenario tests/unit/checker/small_run.json.xz``."""
    recorded = World.load(RECORDED)
    for name, tables in world.tables.items():
        for table, rows in tables.items():
            # A column or table more harms nothing; one less is one that the unit tests still believe in.
            if (kept := recorded.tables[name].get(table)) is not None:
                assert bool(kept) == bool(rows), f"{name}.{table}"
                assert not rows or _columns(kept) <= _columns(rows), f"{name}.{table}"
    assert {topic: _types(lines) for topic, lines in world.lines.items()} == {
        topic: _types(lines) for topic, lines in recorded.lines.items()
    }


def _columns(rows: list[Row]) -> set[str]:
    return {column for row in rows for column in row}


def _types(lines: list[Line]) -> set[str]:
    return {line.fault or line.data.TYPE for line in lines}


def test_the_command_line_judges_what_the_report_of_a_demo_names(stack: Stack, world: World, tmp_path: Path) -> None:
    report, verdict = tmp_path / "report.json", tmp_path / "verdict.json"
    report.write_text(json.dumps({"broker": {"address": stack.broker.address}, "databases": stack.dsn}))
    command = [sys.executable, "-m", "tests.support.checker", "--json", str(verdict), "--canary", CANARY]
    environment = os.environ | {"SHUANGCHENG_REPORT": str(report)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(verdict.read_text())
    assert document["verdict"] == "green"
    assert document["messages"] == sum(map(len, world.lines.values()))


def test_the_command_line_ends_with_status_1_when_something_is_red(stack: Stack, world: World) -> None:
    """A word that stands on many topics, as if it had been planted."""
    arguments = ["--kafka", stack.broker.address, "--databases", json.dumps(stack.dsn), "--canary", "river-tue"]
    command = [sys.executable, "-m", "tests.support.checker", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "I14: the planted word 'river-tue' in clear" in done.stdout


async def test_a_missing_database_is_said(stack: Stack) -> None:
    with pytest.raises(GatherError, match="no address for the database of bridge"):
        await gather(stack.broker.address, {name: dsn for name, dsn in stack.dsn.items() if name != "bridge"})


def test_an_address_where_nothing_answers_is_said_with_status_2(stack: Stack) -> None:
    arguments = ["--kafka", "127.0.0.1:1", "--databases", json.dumps(stack.dsn)]
    command = [sys.executable, "-m", "tests.support.checker", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "127.0.0.1:1 could not be read" in done.stderr
    assert "Traceback" not in done.stderr
