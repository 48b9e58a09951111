"""What the commands under ``tests`` take on their command lines."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.support.arguments import report_file


def test_a_report_is_written_to_a_new_file_an_old_one_or_the_output(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    for name in ("new.json", "old.json"):
        assert report_file(str(tmp_path / name)) == tmp_path / name
    assert report_file("-") == Path("-")


def test_a_report_in_a_folder_that_is_not_there_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"missing/report\.json cannot be written"):
        report_file(str(tmp_path / "missing" / "report.json"))
