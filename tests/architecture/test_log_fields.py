"""Whatever a service writes into a log line stands on the allow-list: otherwise the line says only that it does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from services.chassis.base.logs import ALLOWED

ROOT = Path(__file__).parents[2]
_LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
_LINES = frozenset(f"log().{level}" for level in _LEVELS)
_FOR_LATER_LINES = frozenset(["Episode", "logs.Episode", "about", "logs.about"])


def _calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _unlisted(file: Path) -> Iterator[str]:
    for called, call in _calls(file):
        if called in _LINES | _FOR_LATER_LINES:
            place = f"{file.relative_to(ROOT)}:{call.lineno}"
            yield from (f"{place}: {word.arg}" for word in call.keywords if word.arg not in (None, *ALLOWED))


def test_every_field_of_a_log_line_stands_on_the_allow_list() -> None:
    """The listener named each entry that it did not understand by ``number=``, and each line said
    "(not on the allow-list)". Where a line's fields come as ``**mapping``, the mapping's names are not seen here."""
    found = [
        place
        for folder in ("services", "deploy")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for place in _unlisted(file)
    ]
    assert found == []
