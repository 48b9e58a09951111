"""The drawing of the tree in CONTRIBUTING has every folder with code, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _drawn() -> set[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawing = re.search(r"^## The tree\n.*?```\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert drawing is not None
    folders: set[str] = set()
    above: list[str] = []
    for line in drawing[1].splitlines():
        name = line.split()[0].rstrip("/")
        above = [*above[: (len(line) - len(line.lstrip())) // 2], name]
        folders.add("/".join(above))
    return folders


def _with_code() -> set[str]:
    packages = {file.parent for top in ("contracts", "services", "deploy") for file in (ROOT / top).rglob("*.py")}
    return {str(folder.relative_to(ROOT)) for folder in packages} | {"services", "deploy", "tests"}


def test_the_drawing_of_the_tree_has_every_folder_with_code_and_no_other() -> None:
    assert _drawn() == _with_code()
