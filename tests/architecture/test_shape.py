"""House rules that a reader relies on: sizes, where SQL stands, names that may not appear, imports that may not be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.linkage import SERVICES
from tests.architecture.rows import RULE_ROOMS
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


def _files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_longer_than_300_lines() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for file in _files("contracts", "services", "deploy", "tests")
        if (lines := len(file.read_text().splitlines())) > 300
    }
    assert long == {}


def test_no_function_is_longer_than_50_lines() -> None:
    long = {
        f"{file.relative_to(ROOT)}:{node.name}": length
        for file in _files("contracts", "services", "deploy")
        for node in _functions(file)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > 50
    }
    assert long == {}


def test_every_module_says_in_a_line_what_it_is() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in _files("contracts", "services", "deploy", "tests")
        if (text := file.read_text()).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_the_readme_of_the_chassis_names_every_module() -> None:
    folder = ROOT / "services" / "chassis"
    named = set(re.findall(r"`(\w+)`", (folder / "README.md").read_text()))
    modules = {file.stem for file in folder.rglob("*.py")} - {"__init__"}
    assert modules - named == set()


@pytest.mark.parametrize("service", [*SERVICES, "adapters"])
def test_a_service_has_the_common_files(service: str) -> None:
    folder = ROOT / "services" / service
    for name in ("README.md", "__main__.py", "service.py", "store.py", "migrations"):
        assert (folder / name).exists(), f"{service} lacks {name}"
    assert (folder / "rules.py").exists() or any((folder / room).is_dir() for room in RULE_ROOMS)
    assert list((folder / "migrations").glob("0001_*.sql"))


def test_no_registry_is_named_in_services_or_contracts() -> None:
    word = re.compile(r"""["'](gz|sz)["']|Guangzhou|Shenzhen|广州|深圳|志愿时|i志愿""")
    named = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in _files("contracts", "services")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if word.search(line) and "examples" not in line
    ]
    assert named == []


def test_no_shared_figure_is_added_to_across_an_await() -> None:
    """``self.n += await f()`` reads n before it waits, and loses updates between tasks."""
    found = []
    for file in _files("contracts", "services", "deploy", "tests"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        shared = {name for node in nodes if isinstance(node, ast.Nonlocal | ast.Global) for name in node.names}
        found += [
            f"{file.relative_to(ROOT)}:{node.lineno}"
            for node in nodes
            if isinstance(node, ast.AugAssign)
            and any(isinstance(part, ast.Await) for part in ast.walk(node.value))
            and (not isinstance(node.target, ast.Name) or node.target.id in shared)
        ]
    assert found == []


_DOMAIN: Final = re.compile(
    r"\b(volunteer|registr(y|ies)|person|people|link(s|ed|ing)?|offers?|consent|campaign|shift|sign-?up|attend|attest|credit"
    r"|receipt|transfer|minutes|home|seat|ledger|city|cities|sandbox|adapter|border|bridge|identity|opportunit(y|ies)"
    r"|attendance|she|her|hers)s?\b",
    re.IGNORECASE,
)
_OF_LIBRARIES: Final = (
    "CollectorRegistry",
    "TypeAdapter",
    "registry=kept",
    "registry=read_now",
    'person=b"naming"',
    "transfer-encoding",
    "AS IDENTITY",
)
"""Names that are not ours."""
_APPLIED: Final = ("0008_naming.sql",)
"""A migration that was applied is never changed, not even its comments."""


def _words_of(text: str) -> list[str]:
    """With the parts of names: ``day_cap_minutes`` and ``receiptDue`` are several words."""
    for name in _OF_LIBRARIES:
        text = text.replace(name, "")
    return re.sub(r"_+|(?<=[a-z])(?=[A-Z])", " ", text).splitlines()


_MAY_GIVE_UP = {"tests/unit/support/test_waiting.py", "tests/integration/chassis/test_idle.py"}
"""Tests of the waiting itself."""


def test_a_wait_of_a_test_gives_up_after_two_minutes_or_more() -> None:
    """On a machine three times slower, waits of 30 seconds were red: two whole runs were lost to them."""
    short = [
        f"{file.relative_to(ROOT)}:{call.lineno}: {ast.unparse(limit)}"
        for file in _files("tests")
        if not file.is_relative_to(ROOT / "tests" / "lab") and str(file.relative_to(ROOT)) not in _MAY_GIVE_UP
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("eventually")
        for limit in [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "timeout")]
        if isinstance(limit, ast.Constant) and float(str(limit.value)) < PATIENCE
    ]
    assert short == []


def test_the_chassis_knows_no_domain_word() -> None:
    """It left out three modules, and most of the words: settings of services, a field of the log and who may read a
    registry's answers stood in it."""
    folder = ROOT / "services" / "chassis"
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted([*folder.rglob("*.py"), *folder.rglob("*.sql")])
        if file.name not in _APPLIED
        for number, line in enumerate(_words_of(file.read_text()), 1)
        if _DOMAIN.search(line)
    ]
    assert found == []
