"""A recipe of CONTRIBUTING carried out on a copy of the tree: what a hand writes, what runs there, what changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["GENERATED", "ROOT", "Edit", "carry_out", "named", "run", "says", "touched", "write"]

Edit: TypeAlias = tuple[str, str | None, str]
"""A file, the place in it, and what stands there afterwards. None: the text comes at the end."""

ROOT: Final = Path(__file__).parents[3]
GENERATED: Final = re.compile(r"contracts/(published/.*|README\.md)")
"""What `make contracts` writes."""
_TREE: Final = ("contracts", "services", "deploy", "tests")
_FILES: Final = ("pyproject.toml", "shuangcheng.py", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "README.md")


def carry_out(recipe: Callable[[Path], None], folder: Path) -> Path:
    """A copy of the tree in this folder, with the recipe carried out on it and what is generated made anew."""
    copy = folder / "tree"
    for name in _TREE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(ROOT / name, copy / name)
    recipe(copy)
    run(copy, "-m", "contracts.tools.publish")
    return copy


def write(tree: Path, edits: Iterable[Edit], new: Mapping[str, str]) -> None:
    """Change and add files by hand. Raises ``LookupError`` where a place is not found once."""
    for path, place, text in edits:
        file = tree / path
        before = file.read_text("utf-8")
        if place is not None and before.count(place) != 1:
            raise LookupError(f"{path} has {place!r} {before.count(place)} times")
        file.write_text(before + text if place is None else before.replace(place, text), "utf-8")
    for path, text in new.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, "utf-8")


def says(tree: Path, *arguments: str) -> tuple[bool, str]:
    """Run our Python on this tree, and nothing of the one in which this test stands: whether it went well, and all that
    was said."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def run(tree: Path, *arguments: str) -> str:
    """The same of what has to go well."""
    well, said = says(tree, *arguments)
    assert well, said
    return said


def touched(copy: Path) -> set[str]:
    """Files of the copy that differ from those of the tree, or are new."""
    found = set()
    for path in (path for path in copy.rglob("*") if path.is_file()):
        name = str(path.relative_to(copy))
        before = ROOT / name
        if "__pycache__" not in name and (not before.exists() or before.read_bytes() != path.read_bytes()):
            found.add(name)
    return found


def named(recipe: str) -> list[re.Pattern[str]]:
    """The files that the table of a recipe names. ``<…>`` stands for one part of a path. In a row that begins with a
    folder (``…/``) all further names are below it."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition(f"### {recipe}\n")[2].partition("\n### ")[0]
    found: list[str] = []
    for line in table.splitlines():
        if re.match(r"\| \d+ \|", line):
            first, *rest = re.findall(r"`([^`]+)`", line.split("|")[2])
            below = first if first.endswith("/") else ""
            found += [below + name for name in rest] if below else [first, *rest]
    return [re.compile(re.sub(r"<[^>]*>", "[^/]+", re.escape(name))) for name in found]
