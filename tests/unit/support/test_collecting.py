"""A run of whole linkages imports the files that have such tests, and no test is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collecting import left_out

WHOLE = "whole and not compose"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    texts = {
        "of_file": "pytestmark = pytest.mark.whole",
        "of_list": "pytestmark = [pytest.mark.compose, pytest.mark.whole]",
        "of_test": "@pytest.mark.whole\n@pytest.mark.timeout(900)\ndef test_it(): ...",
        "without": "def test_it(): ...",
    }
    made = {name: tmp_path / f"test_{name}.py" for name in texts}
    for name, text in texts.items():
        made[name].write_text(text, "utf-8")
    return made


def test_a_file_is_left_out_when_none_of_its_tests_is_marked(files: dict[str, Path], tmp_path: Path) -> None:
    assert [name for name, file in files.items() if left_out(file, WHOLE, [str(tmp_path)])] == ["without"]


@pytest.mark.parametrize("marker", ["", "not whole and not compose", "whole or compose", "wholesome", "compose"])
def test_any_other_run_imports_every_file(files: dict[str, Path], tmp_path: Path, marker: str) -> None:
    assert not any(left_out(file, marker, [str(tmp_path)]) for file in files.values())


def test_what_is_asked_for_by_name_is_found(files: dict[str, Path]) -> None:
    file = files["without"]
    assert not left_out(file, WHOLE, [str(file)])
    assert not left_out(file, WHOLE, [f"{file}::test_it"])


def test_what_is_no_file_of_tests_is_left_to_pytest(tmp_path: Path) -> None:
    assert not left_out(tmp_path, WHOLE, [str(tmp_path)])
    assert not left_out(tmp_path / "conftest.py", WHOLE, [str(tmp_path)])
