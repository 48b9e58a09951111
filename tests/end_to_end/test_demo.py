"""The demo from outside: it balances, its report can be checked against the books, and its input is real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.tryout.demo.play import WEEKEND
from tests.support.backends import Backends
from tests.support.demo import REPORT, paths, play

ROOT = Path(__file__).parents[2]
AUDIT = f"{sys.executable} -m deploy.cli.main audit"
REFUSALS = {"full", "clash", "too_young", "guardian_missing", "not_linked", "not_open"}

pytestmark = pytest.mark.whole


@pytest.mark.timeout(300)
async def test_a_small_demo_balances_and_an_auditor_finds_the_same(backends: Backends, tmp_path: Path) -> None:
    outcome = await play(backends, tmp_path, people=60, seed=7)
    report = outcome.report
    assert (outcome.status, report["balanced"], report["overbooked"], report["quarantined"]) == (0, True, 0, 0)
    outcome.agrees()
    assert outcome.found["pupil"] == 165 + 135
    assert set(paths(report)) == REPORT
    assert all(one["minutes"]["held"] > 0 for one in report["directions"].values())
    assert set(report["signups"]["refused"]) >= REFUSALS
    assert report["people"]["linked"] == 62
    assert report["projects"] >= 100
    assert report["posts"] >= 20_000
    assert [fault["kind"] for fault in report["faults"]] == ["sigkill", "lost_answer"]
    assert all(fault["recovered_seconds"] > 0 for fault in report["faults"])
    assert (report["schema"], report["seed"], report["kinds"]) == (1, 7, {"gz": "kafka_native", "sz": "rest_api"})


def found_nothing(verdict: Path, report: dict[str, Any]) -> None:
    """The outside checker found every promise held, and has counted what the report says."""
    judged = json.loads(verdict.read_text("utf-8"))
    assert judged["verdict"] == "held", judged["invariants"]
    for way, seen in judged["directions"].items():
        said = report["directions"][way]
        assert seen == {"service_records": said["service_records"], **said["minutes"]}


@pytest.fixture
def longer_saturday(tmp_path: Path) -> Path:
    """The weekend, with a Saturday that ended at 17:25."""
    text = WEEKEND.read_text("utf-8")
    changed = text.replace('"ended_at":"2023-08-26T17:00:00+08:00"', '"ended_at":"2023-08-26T17:25:00+08:00"')
    assert changed != text
    file = tmp_path / "weekend.jsonl"
    file.write_text(changed, "utf-8")
    return file


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("host_kind", "home_kind", "instances"),
    [("rest_api", "rest_api", 2), ("rest_api", "kafka_native", 1), ("kafka_native", "kafka_native", 1)],
)
async def test_every_other_pairing_balances_with_two_instances_too_and_another_time_in_the_file_is_another_credit(
    backends: Backends, tmp_path: Path, longer_saturday: Path, host_kind: str, home_kind: str, instances: int
) -> None:
    """One of them with two instances of every service at once, on the broker of the session; the others on the one that
    a user gets who asks for none. The outside checker has nothing to say of any."""
    kinds = {"gz": host_kind, "sz": home_kind}
    verdict = tmp_path / "verdict.json"
    outcome = await play(
        backends,
        tmp_path,
        weekend=longer_saturday,
        host_kind=host_kind,
        home_kind=home_kind,
        instances=instances,
        calm=instances == 1,
        **({"broker": "embedded"} if instances == 1 else {}),
        then=f'cd {ROOT} && {AUDIT} --databases "$SHUANGCHENG_REPORT" --json > {verdict}',
    )
    faults = [] if instances == 1 else ["sigkill", "lost_answer"]
    assert (outcome.status, outcome.report["kinds"]) == (0, kinds)
    assert [fault["kind"] for fault in outcome.report["faults"]] == faults
    outcome.agrees()
    found_nothing(verdict, outcome.report)
    assert outcome.found["pupil"] == 165 + 25 + 135
    assert all(one["minutes"]["credited"] > 0 for one in outcome.report["directions"].values())
    adapters = {f"adapter_{code}" for code, kind in kinds.items() if kind == "rest_api"}
    assert {name for name in outcome.report["databases"] if name.startswith("adapter_")} == adapters


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
