"""CONTRIBUTING's recipe for a message is carried out on a copy of the tree, and is enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.recipes import late_arrival

ROOT = Path(__file__).parents[3]
TREE = ("contracts", "services", "deploy", "tests")
FILES = ("pyproject.toml", "shuangcheng.py", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "README.md")
GENERATED = re.compile(r"contracts/(published/.*|README\.md)")
CHECKED = (
    "tests/architecture/test_rows.py",
    "tests/architecture/test_shape.py",
    "tests/contract/test_examples.py",
    "tests/contract/test_journey_table.py",
    "tests/contract/test_messages.py",
    "tests/contract/test_topics.py",
    "tests/unit/bridge/test_service.py",
    "tests/unit/adapters/test_words_of_rest_api.py",
    late_arrival.TEST_FILE,
)
"""What a forgotten place of the recipe would turn red."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with the message in it, and what is generated made anew."""
    copy = tmp_path_factory.mktemp("recipe") / "tree"
    for name in TREE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    late_arrival.apply(copy)
    run(copy, "-m", "contracts.tools.publish")
    return copy


def run(tree: Path, *arguments: str) -> str:
    """Run our Python on this tree, and nothing of the one in which this test stands."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def touched(copy: Path) -> set[str]:
    """Files of the copy that differ from those of the tree, or are new."""
    found = set()
    for path in (path for path in copy.rglob("*") if path.is_file()):
        name = str(path.relative_to(copy))
        before = ROOT / name
        if "__pycache__" not in name and (not before.exists() or before.read_bytes() != path.read_bytes()):
            found.add(name)
    return found


def recipe() -> list[re.Pattern[str]]:
    """The files that the recipe's table names; ``<…>`` stands for one part of a path."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("### A message\n")[2].partition("\n### ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if re.match(r"\| \d+ \|", line)]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return [re.compile(re.sub(r"<[^>]*>", "[^/]+", re.escape(name))) for name in named]


def test_a_message_touches_eight_files_and_one_test_and_the_recipe_names_them(copy: Path) -> None:
    by_hand = {name for name in touched(copy) if not GENERATED.fullmatch(name)}
    assert by_hand == late_arrival.WRITTEN
    tests = {name for name in by_hand if name.startswith("tests/")}
    assert len(tests) == 1
    assert len(by_hand - tests) <= 8
    assert [name for name in sorted(by_hand) if not any(one.fullmatch(name) for one in recipe())] == []


def test_the_linkage_with_the_message_passes_its_checks(copy: Path) -> None:
    run(copy, "-m", "ruff", "check", "--no-cache", ".")
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", ".")
    run(
        copy,
        "-m",
        "mypy",
        "--cache-dir",
        str(copy.parent / "mypy"),
        "contracts",
        "services/bridge",
        late_arrival.TEST_FILE,
    )
    run(copy, "-m", "contracts.tools.publish", "--check")
    run(copy, "-m", "contracts.tools.compatibility", "--against", str(ROOT / "contracts" / "published"))


def test_the_message_goes_its_way_and_no_list_of_messages_lacks_it(copy: Path) -> None:
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *CHECKED)
    assert " passed" in said
    assert "failed" not in said
