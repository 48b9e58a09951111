"""CONTRIBUTING's recipe for a message is carried out on a copy of the tree, and is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.recipes import late_arrival
from tests.unit.recipes.carried_out import GENERATED, ROOT, carry_out, named, run, touched

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
    return carry_out(late_arrival.apply, tmp_path_factory.mktemp("recipe"))


def test_a_message_touches_eight_files_and_one_test_and_the_recipe_names_them(copy: Path) -> None:
    by_hand = {name for name in touched(copy) if not GENERATED.fullmatch(name)}
    assert by_hand == late_arrival.WRITTEN
    tests = {name for name in by_hand if name.startswith("tests/")}
    assert len(tests) == 1
    assert len(by_hand - tests) <= 8
    assert [name for name in sorted(by_hand) if not any(one.fullmatch(name) for one in named("A message"))] == []


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
