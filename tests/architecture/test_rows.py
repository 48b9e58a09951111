"""One row per message: nothing in a service asks the type of a message a second time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.rows import READ, Service

SERVICES = Path(__file__).parents[2] / "services"
ROWS = dict.fromkeys(READ, "service.py") | {"bridge": "crossings.py"}
WORDS = {"adapters": ("kinds/rest_api/words.py",)}


@pytest.mark.parametrize("name", READ)
def test_a_message_stands_in_one_row_and_is_named_in_its_rule_module_alone(name: str) -> None:
    assert Service(SERVICES / name, name, rows=ROWS[name], words=WORDS.get(name, ())).wrong() == []


@pytest.mark.parametrize("name", sorted(set(READ) - {"adapters"}))
def test_every_message_that_a_service_reads_has_a_row(name: str) -> None:
    service = Service(SERVICES / name, name, rows=ROWS[name])
    (rows,) = (module for module in service.modules if module.path == ROWS[name])
    assert set(rows.keys()) == READ[name]


_ROWS = """from contracts.messages import identity as messages
REACTIONS = {messages.OfferLink: 1, messages.RequestLink: 2}
"""
_IMPORT = "from contracts.messages import identity\n"


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("service.py", _ROWS + "MORE = {messages.OfferLink: 3}\n", "offer_link.v1 has 2 rows"),
        ("store.py", _IMPORT + "NEEDS = {identity.OfferLink: 1}\n", "store.py:2: a table of messages beside the rows"),
        (
            "rules.py",
            _IMPORT + "BOTH = (identity.OfferLink, identity.RequestLink)\n",
            "rules.py:2: a table of messages beside the rows",
        ),
        (
            "store.py",
            'NEEDS = {"shuangcheng.identity.offer_link.v1": 1}\n',
            "store.py:1: a table of messages beside the rows",
        ),
        (
            "store.py",
            "from contracts.messages.identity import OfferLink\ndef of(x):\n    return isinstance(x, OfferLink)\n",
            "store.py:3: a choice by type outside of the rules",
        ),
        (
            "people.py",
            _IMPORT + "def of(x):\n    match x:\n        case identity.OfferLink():\n            return 1\n",
            "people.py:4: a choice by type outside of the rules",
        ),
        (
            "names.py",
            _IMPORT + "def of(x):\n    return type(x) is identity.OfferLink\n",
            "names.py:3: a choice by type outside of the rules",
        ),
        (
            "people.py",
            _IMPORT + "def of(x: identity.BreakLink) -> None: ...\n",
            "break_link.v1 is named in people.py, rules.py",
        ),
    ],
)
def test_what_a_reader_of_the_rows_would_not_expect_is_found(tmp_path: Path, file: str, text: str, found: str) -> None:
    (tmp_path / "service.py").write_text(_ROWS)
    (tmp_path / "rules.py").write_text(_IMPORT + "def broken(x: identity.BreakLink) -> None: ...\n")
    assert Service(tmp_path, "identity", rows="service.py").wrong() == []
    (tmp_path / file).write_text(text)
    assert any(found in line for line in Service(tmp_path, "identity", rows="service.py").wrong())


def test_a_choice_by_type_within_the_rules_and_what_a_service_says_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(_ROWS)
    (tmp_path / "rules.py").write_text(
        _IMPORT
        + "def of(x: identity.OfferLink | identity.RequestLink) -> bool:\n"
        + "    return isinstance(x, identity.OfferLink)\n"
        + "TOLD = {1: identity.LinkRefused, 2: identity.LinkEstablished}\n"
    )
    assert Service(tmp_path, "identity", rows="service.py").wrong() == []
