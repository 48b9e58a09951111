"""What the programs of the laboratory say when they cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("program", ["tests.lab.fuzz", "tests.lab.faults"])
def test_a_broker_that_is_no_apache_kafka_is_refused_before_anything_is_started(program: str, tmp_path: Path) -> None:
    home = {"SHUANGCHENG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", program, "--broker", "embedded"], env=os.environ | home, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "the broker is not Apache Kafka: embedded, asked for by --broker embedded" in done.stderr
    assert "What to do: give --broker java" in done.stderr
    assert not [one for one in tmp_path.rglob("*") if one.name in ("postgresql", "logs")]
