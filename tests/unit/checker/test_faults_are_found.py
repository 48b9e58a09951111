"""Each planted fault turns exactly the invariants red that it breaks, and a clean run is green."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from contracts.messages.deliveries import CreditPosted
from tests.support.checker import World, check
from tests.support.checker.planted import Faults
from tests.support.checker.planted_minutes import FAULTS as OF_MINUTES
from tests.support.checker.planted_words import FAULTS as OF_WORDS
from tests.support.checker.scenario import CANARY
from tests.support.checker.tampering import Tamper

RECORDED: Final = World.load(Path(__file__).parent / "small_run.json.xz")
FAULTS: Final[Faults] = OF_MINUTES | OF_WORDS


def test_a_clean_run_is_green() -> None:
    report = check(RECORDED, canaries=[CANARY])
    assert report.green, report.text()
    assert report.directions["gz->sz"]["withheld"] == 330


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_turns_exactly_its_invariants_red(name: str) -> None:
    wanted, fault = FAULTS[name]
    spoiled = Tamper(RECORDED)
    fault(spoiled)
    report = check(spoiled.world, canaries=[CANARY])
    assert report.red == wanted, report.text()


def test_every_invariant_is_broken_by_some_fault_alone() -> None:
    alone = {next(iter(wanted)) for wanted, _ in FAULTS.values() if len(wanted) == 1}
    assert alone == set(check(RECORDED).violations)


def test_the_verdict_names_who_and_where_first() -> None:
    spoiled = Tamper(RECORDED)
    FAULTS["a_credit_is_sent_after_consent_was_withdrawn"][1](spoiled)
    first = check(spoiled.world).document()["invariants"]["I13"]["first"]
    credit = spoiled.find(CreditPosted, where=lambda data: data.volunteer_ref == "gz-fay")
    assert (first["topic"], first["partition"], first["offset"]) == credit.place
    assert first["record"] == "sz-fay-aid-wed-r"
    person = spoiled.row("bridge", "account", registry="gz", ref="gz-fay")["person"]
    assert first["person"] == str(person)
    assert first["what"].startswith("sent after consent 1 was withdrawn")


def test_a_run_that_is_still_under_way_is_not_asked_to_be_drained() -> None:
    spoiled = Tamper(RECORDED)
    FAULTS["a_reader_is_behind"][1](spoiled)
    assert check(spoiled.world, drained=False).green
