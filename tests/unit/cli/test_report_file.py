"""The file of `demo --json`: the report of this run, whole, or none."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.tryout.cli.demo import Wishes, conclude
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.screen import Screen


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


def written(path: Path, **document: object) -> int:
    return asyncio.run(conclude(Wishes(json_file=path), Report(document), path.parent, Screen()))


def test_a_run_that_does_not_come_to_its_end_leaves_no_report_of_an_earlier_one(report: Path) -> None:
    report.write_text('{"balanced": true}')
    result = CliRunner().invoke(app, ["demo", "--broker", "rabbit", "--json", str(report)])
    assert result.exit_code == 2, result.output
    assert list(report.parent.iterdir()) == []


def test_a_run_that_does_not_come_to_its_end_leaves_no_empty_file(report: Path) -> None:
    assert CliRunner().invoke(app, ["demo", "--broker", "rabbit", "--json", str(report)]).exit_code == 2
    assert list(report.parent.iterdir()) == []


def test_a_report_that_cannot_be_written_is_said_before_anything_is_started(report: Path) -> None:
    report.mkdir()
    result = CliRunner().invoke(app, ["demo", "--json", str(report)])
    assert result.exit_code == 2
    assert f"cannot write {report}: Is a directory" in result.output


def test_whoever_reads_while_it_is_written_sees_the_whole_report_or_the_one_before(report: Path) -> None:
    report.write_text('{"balanced": true}')
    with report.open(encoding="utf-8") as reader:
        written(report, balanced=False)
        assert json.load(reader) == {"balanced": True}, "it was written over, not replaced"
    assert json.loads(report.read_text("utf-8")) == {"balanced": False}
    assert list(report.parent.iterdir()) == [report]


def test_a_pipe_gets_the_report_and_stays_a_pipe(report: Path) -> None:
    os.mkfifo(report)
    reader = os.open(report, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert written(report, balanced=True) == 0
        assert json.loads(os.read(reader, 1000)) == {"balanced": True}
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(report.stat().st_mode)
