"""CONTRIBUTING's recipe for a service is carried out on a copy of the tree, and is enough; a place left out is found.

``tests/end_to_end/test_new_service.py`` runs the same service on a broker and a database.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.unit.recipes import echo
from tests.unit.recipes.carried_out import GENERATED, ROOT, carry_out, named, run, says, touched
from tests.unit.recipes.echo_folder import FOLDER

FOLDER_OF_ECHO = "services/echo/"
CHECKED = (
    "tests/architecture",
    "tests/contract/test_examples.py",
    "tests/contract/test_journey_table.py",
    "tests/contract/test_messages.py",
    "tests/contract/test_published.py",
    "tests/contract/test_topics.py",
    "tests/unit/checker/test_verdict.py",
    "tests/unit/cli/test_operator_commands.py",
    "tests/unit/cli/test_registries.py",
    "tests/unit/demo/test_verdict.py",
    "tests/unit/echo",
    "tests/unit/local/test_processes_of_a_linkage.py",
)
"""What names services, and the service's own tests: in memory, alone and beside all others."""
LEFT_OUT = {
    "deploy/linkage.py": "tests/architecture/test_linkage.py",
    "deploy/compose.yaml": "tests/architecture/test_compose_file.py",
    "deploy/README.md": "tests/architecture/test_environment_variables.py",
    "services/README.md": "tests/architecture/test_linkage.py",
    "CONTRIBUTING.md": "tests/architecture/test_tree.py",
    "deploy/audit/projections/echo.py": "tests/architecture/test_linkage.py",
    "tests/integration/echo/test_store.py": "tests/architecture/test_linkage.py",
}
"""Places that a hand may forget although all else runs, and the test that finds each."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with the service in it, and what is generated made anew."""
    return carry_out(echo.apply, tmp_path_factory.mktemp("recipe"))


def test_a_service_touches_twelve_files_outside_its_folder_and_the_recipe_names_them_all_and_no_other(
    copy: Path,
) -> None:
    by_hand = {name for name in touched(copy) if not GENERATED.fullmatch(name)}
    outside = {name for name in by_hand if not name.startswith(FOLDER_OF_ECHO)}
    assert by_hand - outside == {FOLDER_OF_ECHO + name for name in FOLDER}
    assert outside == echo.OUTSIDE
    assert len(outside) <= 12
    recipe = named("A service")
    assert [name for name in sorted(by_hand) if not any(one.fullmatch(name) for one in recipe)] == []
    assert [one.pattern for one in recipe if not any(one.fullmatch(name) for name in by_hand)] == []


def test_its_code_is_about_sixty_lines(copy: Path) -> None:
    """Without blank lines, imports and docstrings."""
    files = (copy / FOLDER_OF_ECHO).rglob("*.py")
    assert 40 <= sum(len(set(_lines_of_code(file.read_text("utf-8")))) for file in files) <= 70


def _lines_of_code(text: str) -> list[int]:
    tree = ast.parse(text)
    spared: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            spared.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return [n for n, line in enumerate(text.splitlines(), 1) if line.strip() and n not in spared]


def test_the_linkage_with_the_service_passes_its_checks(copy: Path) -> None:
    run(copy, "-m", "ruff", "check", "--no-cache", ".")
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", ".")
    own = ("services/echo", "deploy/audit/projections", *(path for path in echo.OUTSIDE if path.startswith("tests/")))
    run(copy, "-m", "mypy", "--cache-dir", str(copy.parent / "mypy"), "contracts", "deploy/linkage.py", *own)
    run(copy, "-m", "contracts.tools.publish", "--check")
    run(copy, "-m", "contracts.tools.compatibility", "--against", str(ROOT / "contracts" / "published"))
    assert imports_are_kept(copy)


def test_no_list_of_services_lacks_it_and_beside_the_others_it_hears_and_tells(copy: Path) -> None:
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *CHECKED)


@pytest.mark.parametrize("place", LEFT_OUT)
def test_a_place_that_is_left_out_is_found(copy: Path, place: str) -> None:
    carried_out = (copy / place).read_text("utf-8")
    if (ROOT / place).exists():
        (copy / place).write_text((ROOT / place).read_text("utf-8"), "utf-8")
    else:
        (copy / place).unlink()
    try:
        well, said = says(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", LEFT_OUT[place])
    finally:
        (copy / place).write_text(carried_out, "utf-8")
    assert not well
    assert re.search(r"^FAILED .*", said, re.MULTILINE), said
    assert "echo" in said.lower()


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("services/echo/rules.py", "import asyncpg\n"),
        ("services/echo/states.py", "from services.identity import states\n"),
        ("services/identity/states.py", "from services.echo import states\n"),
        ("services/chassis/draft.py", "from services.echo import states\n"),
    ],
)
def test_the_rules_on_imports_hold_for_it_although_none_names_it(copy: Path, file: str, line: str) -> None:
    carried_out = (copy / file).read_text("utf-8")
    (copy / file).write_text(carried_out + line, "utf-8")
    try:
        assert not imports_are_kept(copy)
    finally:
        (copy / file).write_text(carried_out, "utf-8")


def imports_are_kept(copy: Path) -> bool:
    """Whether import-linter finds every rule of the copy kept."""
    command = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    well, said = says(copy, "-c", command)
    assert "Contracts: " in said, said
    return well
