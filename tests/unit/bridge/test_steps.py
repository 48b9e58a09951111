"""The words of a timeline are a closed list, and SQL and pages use no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, get_args

from contracts.messages.deliveries import SignupState, TransferState
from deploy.tryout.demo.showing import _WORDS as SHOWN
from services.bridge import steps
from services.bridge.reading import queries

_FAMILY: Final = re.compile(r"'((?:link|consent|signup|service|transfer)_[a-z_]+|checked_(?:in|out))'")
_QUOTED: Final = re.compile(r"what (?:=|IN|WHEN) ?\(?([^)\n]+)")


def test_every_state_that_is_told_has_a_word() -> None:
    assert set(steps.SIGNUP) == set(get_args(SignupState))
    assert set(steps.TRANSFER) == set(get_args(TransferState))


def test_sql_asks_for_words_of_the_list_alone() -> None:
    asked = [part for line in _QUOTED.findall(Path(queries.__file__).read_text()) for part in _FAMILY.findall(line)]
    assert len(asked) >= 4
    assert set(asked) <= set(steps.WORDS)


def test_the_demo_has_a_line_for_every_word() -> None:
    assert set(SHOWN) == set(steps.WORDS)
