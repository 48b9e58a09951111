"""The Makefile: every target that it lists runs whatever files are there, and a Python that is too old is told so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make setup` reads of a fresh clone."""
    for name in ("Makefile", "pyproject.toml", "deploy/lock/all.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def python(folder: Path, text: str) -> Path:
    """A program that answers as a Python would."""
    program = folder / "python"
    program.write_text(text)
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("target", ["setup", "demo", "test", "check"])
def test_a_python_of_version_3_9_is_one_message_and_status_2(checkout: Path, target: str) -> None:
    old = python(checkout, '#!/bin/sh\ncase "$1" in -V) echo Python 3.9.18;; *) exit 1;; esac\n')
    done = make(checkout, target, f"PYTHON={old}")
    assert done.returncode == 2
    message, *rest = done.stderr.splitlines()
    assert message == (
        f"Python 3.11 or newer is needed; '{old}' is Python 3.9.18. Try: make PYTHON=/path/to/python3.11"
    )
    assert len(rest) == 1, "make's own line"
    assert rest[0].startswith("make: *** ")
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_told_with_its_name(checkout: Path) -> None:
    done = make(checkout, "setup", "PYTHON=/nowhere/python3")
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed; '/nowhere/python3' is" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_venv_is_told_what_to_install(checkout: Path) -> None:
    bare = python(checkout, '#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\n')
    done = make(checkout, "setup", f"PYTHON={bare}")
    assert done.returncode == 2
    assert "apt-get install python3-venv" in done.stderr


def test_a_file_of_a_targets_name_does_not_stand_in_its_way() -> None:
    text = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert {"demo", "test", "faults"} <= listed
    assert set(phony[1].split()) == listed
