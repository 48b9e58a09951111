"""The demo from outside: it balances, its report can be checked against the books, and its input is real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.demo import Wishes, perform
from deploy.demo.play import WEEKEND, XIA
from tests.support.backends import Backends

REFUSALS = {"full", "clash", "too_young", "guardian_missing", "not_linked", "not_open"}

# As a stranger would look: nothing but the report and the views that anyone may read.
AUDITOR = """
import asyncio, asyncpg, json, os
report = json.load(open(os.environ["SHUANGCHENG_REPORT"]))

async def ask(name, sql, *arguments):
    connection = await asyncpg.connect(report["databases"][name])
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()

async def main():
    found = {"pupil": await ask("sandbox_sz", "SELECT sum(minutes)::int FROM audit_credits WHERE volunteer_ref = %r")}
    for host, home in (("gz", "sz"), ("sz", "gz")):
        served = "SELECT sum(minutes)::int FROM audit_served WHERE home = $1 AND status = 'confirmed'"
        credited = "SELECT sum(minutes)::int FROM audit_credits"
        found[host + "->" + home] = [await ask("sandbox_" + host, served, home), await ask("sandbox_" + home, credited)]
    json.dump(found, open(%r, "w"))

asyncio.run(main())
"""


async def _demo(backends: Backends, folder: Path, **wishes: Any) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit status, report, and what an auditor found while all was up."""
    if backends.broker is None:
        pytest.fail(backends.broker_says)
    kind = backends.broker.address if backends.broker.kind == "address" else backends.broker.kind
    auditor, found, report = folder / "auditor.py", folder / "found.json", folder / "report.json"
    auditor.write_text(AUDITOR % (XIA[1], str(found)), "utf-8")
    status = await perform(
        Wishes(json_file=report, broker=kind, then=f"{sys.executable} {auditor}", **({"people": 60} | wishes))
    )
    return status, json.loads(report.read_text("utf-8")), json.loads(found.read_text("utf-8"))


async def test_a_small_demo_balances_and_an_auditor_finds_the_same(backends: Backends, tmp_path: Path) -> None:
    status, report, found = await _demo(backends, tmp_path, seed=7)
    assert (status, report["balanced"], report["overbooked"], report["quarantined"]) == (0, True, 0, 0)
    assert found["pupil"] == 165 + 135
    for direction in ("gz->sz", "sz->gz"):
        minutes = report["directions"][direction]["minutes"]
        assert found[direction] == [minutes["confirmed"], minutes["credited"]]
        assert minutes["in_flight"] == minutes["uncertain"] == 0
        assert minutes["held"] > 0
    assert set(report["signups"]["refused"]) >= REFUSALS
    assert report["people"]["linked"] == 62
    assert report["projects"] >= 100
    assert report["posts"] >= 20_000
    assert [fault["kind"] for fault in report["faults"]] == ["sigkill", "lost_answer"]
    assert all(fault["recovered_seconds"] > 0 for fault in report["faults"])
    assert (report["schema"], report["seed"], report["kinds"]) == (1, 7, {"gz": "kafka_native", "sz": "rest_api"})
    assert set(report["broker"]) == {"kind", "version", "address"}


async def test_another_time_in_the_weekend_file_is_another_credit_by_just_that(
    backends: Backends, tmp_path: Path
) -> None:
    text = WEEKEND.read_text("utf-8")
    file = tmp_path / "weekend.jsonl"
    changed = text.replace('"ended_at":"2023-08-26T17:00:00+08:00"', '"ended_at":"2023-08-26T17:25:00+08:00"')
    assert changed != text
    file.write_text(changed, "utf-8")
    status, report, found = await _demo(
        backends, tmp_path, weekend=file, people=20, calm=True, host_kind="rest_api", home_kind="kafka_native"
    )
    assert (status, found["pupil"], report["faults"]) == (0, 165 + 25 + 135, [])


@pytest.mark.parametrize(
    "arguments",
    [["--host-kind", "carrier_pigeon"], ["--broker", "nowhere"], ["--json", "/nowhere/at/all.json"], ["--people", "x"]],
)
def test_what_cannot_be_run_ends_with_one_message_and_status_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "deploy.cli.main", "demo", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert "Traceback" not in done.stderr
