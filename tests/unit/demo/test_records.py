"""The books are compared record by record: sums may agree where records do not."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from deploy.tryout.demo.records import Said, differences

ANN, BO = ("gz", "R-ann"), ("gz", "R-bo")
FIRST, SECOND, OTHER = (uuid.UUID(int=number) for number in (1, 2, 3))
TRANSFERS = {FIRST: ANN, SECOND: BO}


def found(**changed: Any) -> list[str]:
    """Both records have 60 minutes in all books, but for what is ``changed``."""
    same: dict[str, Any] = {
        "said": {ANN: Said("sz", 60, 60, "credited"), BO: Said("sz", 60, 60, "credited")},
        "transfers": TRANSFERS,
        "served": {ANN: 60, BO: 60},
        "booked": {FIRST: 60, SECOND: 60},
    }
    return differences(**(same | changed))


def test_books_that_agree_have_no_difference() -> None:
    assert found() == []
    assert differences({}, {}, {}, {}) == []


def test_sixty_minutes_too_many_of_one_volunteer_and_too_few_of_another_are_two_differences() -> None:
    """They balanced (W10): the demo compared sums of a direction."""
    assert found(booked={FIRST: 120, SECOND: 0}) == [
        "record R-ann of gz: credited 60 is not what sz booked, 120",
        "record R-bo of gz: credited 60 is not what sz booked, 0",
    ]
    assert found(served={ANN: 0, BO: 120}) == [
        "record R-ann of gz: confirmed 60 is not what gz counts, 0",
        "record R-bo of gz: confirmed 60 is not what gz counts, 120",
    ]


def test_100_withheld_and_minus_100_withheld_are_not_nothing() -> None:
    said = {ANN: Said("sz", 100, 0, "withheld"), BO: Said("sz", 0, 100, "withheld")}
    wrong = found(said=said, served={ANN: 100}, booked={SECOND: 100})
    assert wrong == ["record R-bo of gz: 100 minutes are not taken back at sz (withheld)"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"booked": {FIRST: 60, SECOND: 60, OTHER: 5}}, f"5 minutes are booked under transfer {OTHER}"),
        (
            {"served": {ANN: 60, BO: 60, ("gz", "R-no"): 30}},
            "record R-no of gz: the bridge does not know it, gz counts 30",
        ),
        (
            {
                "said": {ANN: Said("sz", 60, 60, "credited"), BO: Said("sz", 60, 45, "sent")},
                "booked": {FIRST: 60, SECOND: 45},
            },
            "record R-bo of gz: 15 minutes are missing at sz (sent)",
        ),
    ],
)
def test_each_difference_is_said_with_its_figures(changed: dict[str, Any], says: str) -> None:
    [wrong] = found(**changed)
    assert wrong.startswith(says)


@pytest.mark.parametrize("state", ["withheld", "refused"])
def test_minutes_that_wait_for_consent_or_were_refused_are_told_by_their_state(state: str) -> None:
    said = {ANN: Said("sz", 60, 60, "credited"), BO: Said("sz", 60, 0, state)}
    assert found(said=said, booked={FIRST: 60}) == []


def test_of_many_differences_the_first_are_said_and_the_others_counted() -> None:
    wrong = found(served={("gz", f"R-{number}"): 1 for number in range(9)} | {ANN: 60, BO: 60})
    assert len(wrong) == 6
    assert wrong[-1] == "4 more records differ"
