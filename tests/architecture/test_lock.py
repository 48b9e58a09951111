"""The lock files: complete, hashed, and silent about where packages come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = re.compile(r"^([a-z0-9.-]+)==", re.MULTILINE)


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name, as a lock writes them."""
    found = [re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements]
    return {re.sub(r"[-_.]+", "-", match.group()).lower() for match in found if match}


@pytest.mark.parametrize(("lock", "extras"), [("runtime", []), ("all", ["embedded", "dev"])])
def test_a_lock_holds_everything_that_the_project_asks_for(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + [r for extra in extras for r in project["optional-dependencies"][extra]]
    locked = set(LOCKED.findall((ROOT / "deploy" / "lock" / f"{lock}.txt").read_text(encoding="utf-8")))
    assert names(asked) - locked == set(), "run `make lock`"


@pytest.mark.parametrize("lock", ["runtime", "all"])
def test_a_lock_has_a_hash_for_each_package_and_names_no_host(lock: str) -> None:
    text = (ROOT / "deploy" / "lock" / f"{lock}.txt").read_text(encoding="utf-8")
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert packages
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)
