"""What is for tests only is refused where people's records are kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("name", "value"), [("FAILPOINT", "P3"), ("RAISE_ON", "some-id"), ("CLOCK_OFFSET", "3600")])
def test_a_service_in_production_does_not_start_with_what_is_for_tests_only(name: str, value: str) -> None:
    settings = {f"SHUANGCHENG_{name}": value, "SHUANGCHENG_PROFILE": "production"}
    done = subprocess.run(
        [sys.executable, "-m", "services.identity"],
        env=dict(os.environ) | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == f"services.identity: refused in the production profile: SHUANGCHENG_{name}"


@pytest.mark.parametrize(("given", "said"), [(None, "is not set: give this database's own"), ("short", "at least 32")])
def test_a_service_does_not_run_without_the_secret_from_which_it_names(given: str | None, said: str) -> None:
    told = {} if given is None else {"SHUANGCHENG_NAMING_SECRET": given}
    done = subprocess.run(
        [sys.executable, "-m", "services.identity"],
        env=dict(os.environ) | told,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("services.identity: SHUANGCHENG_NAMING_SECRET")
    assert said in line
    assert given is None or given not in line
