"""Whoever follows a citation arrives: nothing cites what is not in the tree, and what is published cites nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.architecture.citations import Tree, cites_anything, numbers

ROOT = Path(__file__).parents[2]
OURSELVES = {"tests/architecture/citations.py", "tests/architecture/test_citations.py"}
APPLIED = "services/bridge/migrations/0001_create_border.sql"
"""A migration that was applied never changes, not even in its comments: databases keep its digest."""


def test_nothing_cites_what_is_not_in_the_tree() -> None:
    found = [one for one in Tree(ROOT).dangling() if one.partition(":")[0] not in OURSELVES]
    assert [one for one in found if not one.startswith(APPLIED)] == []
    assert len([one for one in found if one.startswith(APPLIED)]) == 2  # else leave it out here


def test_a_number_of_a_decision_is_given_once_over_all_services() -> None:
    given = Counter(
        number
        for folder, numbers_there in Tree(ROOT).decisions.items()
        if "services" in folder.parts
        for number in numbers_there
    )
    assert given.total() > 40
    assert [number for number, times in given.items() if times > 1] == []


def test_every_decision_says_what_would_make_us_think_again() -> None:
    parts = ("**Context.**", "**Decision.**", "**Consequences.**", "**Think again** ")
    silent = [
        f"{folder.relative_to(ROOT)}: {record.splitlines()[0]} lacks {part}"
        for folder in Tree(ROOT).decisions
        for record in (folder / "DECISIONS.md").read_text("utf-8").split("\n## ")[1:]
        for part in parts
        if part not in record
    ]
    assert silent == []


def test_what_is_published_cites_nothing() -> None:
    published = [path for path in (ROOT / "contracts" / "published").rglob("*") if path.is_file()]
    assert len(published) > 60
    assert [path.name for path in published if cites_anything(path.read_text("utf-8"))] == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project with one of everything that may be cited."""
    for folder in ("contracts", "services/bridge", "tests", "deploy", ".ci"):
        (tmp_path / folder).mkdir(parents=True)
    rules = "| 6 | consent |\n\n**Rule 38. Consent.** …\n\n**Rule 39. Duty.** …\n\n**Rule 40. Withdrawn.** …\n"
    (tmp_path / "contracts" / "RULES.md").write_text(rules, "utf-8")
    (tmp_path / "contracts" / "journey.py").write_text('"""Row 12 is not built."""\nStep(\n    3,\n', "utf-8")
    (tmp_path / "contracts" / "DECISIONS.md").write_text("## 2. Minutes\n\n## 7. The gate, see §2\n", "utf-8")
    (tmp_path / "services" / "bridge" / "DECISIONS.md").write_text("## 9. Breaks\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "as rule 38 has it",
        "(rules 38-40)",
        "(rules 38, 40; promise 6)",
        "rows 3 and 12 of the journey",
        "contracts/DECISIONS §2 and §7",
        "see bridge/DECISIONS §9",
        "see services/bridge/DECISIONS §9",
        "see contracts/RULES.md, or RULES.md",
        "come again later (RFC 6585 §4)",
        "[rules](contracts/RULES.md)",
        "`contracts/journey.py`, or `journey.py`",
        "every `*.md` and `<name>.md`",
    ],
)
def test_a_citation_that_leads_somewhere_is_left_alone(tree: Path, text: str) -> None:
    (tree / "CONTRIBUTING.md").write_text(text, "utf-8")
    assert Tree(tree).dangling() == []


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("first line\nas rule 41 has it", "CONTRIBUTING.md:2: rule 41"),
        ("(Rules 38-41)", "CONTRIBUTING.md:1: Rules 38-41"),
        ("(promise 7)", "CONTRIBUTING.md:1: promise 7"),
        ("row 13 of the journey", "CONTRIBUTING.md:1: row 13"),
        ("bridge/DECISIONS §2", "CONTRIBUTING.md:1: §2"),
        ("contracts/DECISIONS §2 and §3", "CONTRIBUTING.md:1: §3"),
        ("attendance/DECISIONS §9", "CONTRIBUTING.md:1: §9"),
        ("as it was planned (§9)", "CONTRIBUTING.md:1: §9"),
        ("performance.md says so", "CONTRIBUTING.md:1: performance.md"),
        ("[a page](../reference/house.md)", "CONTRIBUTING.md:1: ../reference/house.md"),
        ("look into `rules/gone.py`", "CONTRIBUTING.md:1: rules/gone.py"),
        ("as DESIGN has it", "CONTRIBUTING.md:1: DESIGN"),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(tree: Path, text: str, cited: str) -> None:
    (tree / "CONTRIBUTING.md").write_text(text, "utf-8")
    assert Tree(tree).dangling() == [cited]


def test_in_a_record_of_decisions_a_bare_section_is_of_the_same_file(tree: Path) -> None:
    (tree / "services" / "bridge" / "DECISIONS.md").write_text("## 9. Breaks\n\nas §9 and §7 have it\n", "utf-8")
    assert Tree(tree).dangling() == ["services/bridge/DECISIONS.md:3: §7"]


@pytest.mark.parametrize("text", ["(rule 69)", "promise 1", "DESIGN §3", "see RULES", "contracts/GLOSSARY.md", "row 9"])
def test_a_citation_in_what_is_published_is_noticed(text: str) -> None:
    assert cites_anything(text)
    assert not cites_anything("the rules of GB/T 2260 and RFC 3339; 3 rows")


def test_numbers_of_a_citation_are_read_whole() -> None:
    assert numbers("38-40, 80") == [38, 39, 40, 80]
    assert numbers("6 and 7") == [6, 7]
