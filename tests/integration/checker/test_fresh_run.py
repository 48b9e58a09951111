"""The checker on a run of its own, on real processes: taken anew, it is green; the recorded one is still like it.

The run has a broker of its own, of the kind that the header names: the session's holds what other tests wrote.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
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
    assert report.held, report.text()


async def test_no_table_behind_the_audit_views_holds_a_code_or_a_planted_word(stack: Stack, world: World) -> None:
    whole = await with_private_tables(world, stack.dsn)
    report = check(whole, canaries=[CANARY], only=["I14"])
    assert report.held, report.text()
    found = {one.what.rpartition(" in ")[2] for one in check(whole, canaries=["river-tue"], only=["I14"]).all}
    assert "opportunities.shift (private)" in found


def test_the_recorded_run_is_still_what_a_run_looks_like(world: World) -> None:
    """When this fails: ``python -m tests.support.checker.recording tests/unit/checker/small_run.json.xz``."""
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


def audit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The operators' command, in a process of its own."""
    command = [sys.executable, "-m", "deploy.cli.main", "audit", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_command_judges_what_the_report_of_a_demo_names(stack: Stack, world: World, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"broker": {"address": stack.broker.address}, "databases": stack.dsn}))
    done = audit("--databases", str(report), "--json", "--canary", CANARY)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert (document["verdict"], document["books_not_seen"]) == ("held", [])
    assert document["messages"] == sum(map(len, world.lines.values()))


def test_the_command_ends_with_status_1_when_a_promise_was_broken_and_says_what_to_do(
    stack: Stack, world: World
) -> None:
    """A word that stands on many topics, as if it had been planted."""
    databases = json.dumps(stack.dsn)
    done = audit("--kafka", stack.broker.address, "--databases", databases, "--wait", "0", "--canary", "river-tue")
    assert done.returncode == 1
    assert "I14: the planted word 'river-tue' is in clear" in done.stdout
    assert "What to do: treat it as a leak" in done.stdout
    assert done.stdout.splitlines()[-1] == "broken: I14"


async def test_minutes_that_somebody_falsified_in_a_database_are_found_until_they_are_right_again(
    stack: Stack, world: World
) -> None:
    falsified = "UPDATE service_record SET total = total {} 1 WHERE record_ref = 'gz-eve-park-thu-r' RETURNING total"
    arguments = ["--kafka", stack.broker.address, "--databases", json.dumps(stack.dsn), "--json"]
    db = await asyncpg.connect(stack.dsn["bridge"])
    try:
        assert await db.fetchval(falsified.format("-")) is not None
        found = json.loads((await asyncio.to_thread(audit, *arguments)).stdout)
        assert await db.fetchval(falsified.format("+")) is not None
    finally:
        await db.close()
    assert {name for name, one in found["invariants"].items() if one["verdict"] == "broken"} == {"I12"}
    assert "gz-eve-park-thu-r: total is" in found["invariants"]["I12"]["first"]["what"]
    assert "restore this database" in found["invariants"]["I12"]["todo"]
    assert (await asyncio.to_thread(audit, *arguments)).returncode == 0


def test_without_the_registries_own_books_their_words_on_the_log_are_believed_and_that_is_said(
    stack: Stack, world: World, tmp_path: Path
) -> None:
    for code in ("gz", "sz"):
        (tmp_path / f"{code}.yaml").touch()
    services = {name: dsn for name, dsn in stack.dsn.items() if not name.startswith("sandbox_")}
    arguments = ["--kafka", stack.broker.address, "--databases", json.dumps(services), "--registries", str(tmp_path)]
    done = audit(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the books of gz, sz were not seen" in done.stdout
    assert "gz->sz: service_records 12, confirmed 1515, credited 1185" in done.stdout


async def test_a_missing_database_is_said(stack: Stack) -> None:
    with pytest.raises(GatherError, match="no address for the database of bridge"):
        await gather(stack.broker.address, {name: dsn for name, dsn in stack.dsn.items() if name != "bridge"})


def test_an_address_where_nothing_answers_is_said_with_status_2_and_what_to_do(stack: Stack) -> None:
    elsewhere = {**stack.dsn, "bridge": "postgresql://audit:secret@127.0.0.1:1/bridge"}
    for kafka, databases, said in (
        ("127.0.0.1:1", stack.dsn, "cannot look: 127.0.0.1:1 could not be read"),
        (stack.broker.address, elsewhere, "cannot look: bridge could not be read"),
    ):
        done = audit("--kafka", kafka, "--databases", json.dumps(databases))
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "What to do: see whether" in done.stderr
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr
