"""Failpoints: named, off unless armed, refused when misspelt."""

import subprocess
import sys

import pytest

from services.chassis.base import failpoints


def test_an_unknown_failpoint_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="P77"):
        failpoints.arm("P77")
    with pytest.raises(ValueError, match="n-th"):
        failpoints.arm("P1:zero")


def test_an_unarmed_failpoint_does_nothing() -> None:
    for name in failpoints.NAMES:
        failpoints.failpoint(name)


def test_an_armed_failpoint_kills_the_process_at_the_pass_it_was_armed_for() -> None:
    code = (
        "from services.chassis.base.failpoints import arm, failpoint\n"
        "arm('P2:3')\n"
        "for n in (1, 2, 3, 4):\n    print(n, flush=True)\n    failpoint('P2')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9
    assert done.stdout.split() == ["1", "2", "3"]
