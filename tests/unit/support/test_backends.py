"""Which tests run on which broker: nothing is skipped in silence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROBE = """
import pytest

@pytest.mark.real_kafka
def test_that_needs_kafka() -> None: ...

def test_that_needs_nothing() -> None: ...
"""


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A test file beside a conftest that is ours."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_probe.py").write_text(PROBE)
    return tmp_path


def run(folder: Path, **environment: str) -> str:
    base = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT), "SHUANGCHENG_HOME": str(folder)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(folder),
        str(folder),
    ]
    return subprocess.run(command, capture_output=True, text=True, env=base | environment, check=False).stdout


def test_on_the_embedded_broker_the_header_says_so_and_the_skip_says_why(session: Path) -> None:
    said = run(session, SHUANGCHENG_BROKER="embedded")
    assert "broker: embedded" in said
    assert "needs Apache Kafka, and the broker is embedded" in said
    assert "1 passed, 1 skipped" in said


def test_where_kafka_is_required_the_skip_is_a_failure(session: Path) -> None:
    said = run(session, SHUANGCHENG_BROKER="embedded", REQUIRE_REAL_KAFKA="1")
    assert "REQUIRE_REAL_KAFKA forbids to skip this" in said
    assert "1 passed, 1 error" in said


def test_a_broker_that_is_not_there_is_said_in_the_header(session: Path) -> None:
    said = run(session, SHUANGCHENG_BROKER="127.0.0.1:1")
    assert "no Kafka broker answers at 127.0.0.1:1" in said
