"""What the organiser's form offers: times within shift and presence, and no better evidence than there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.messages.base import EvidenceClass
from deploy.tryout.sandbox.web.offered import evidence_class, times

STARTS = datetime(2026, 7, 4, 1, tzinfo=UTC)
SHIFT = {"starts_at": STARTS, "ends_at": STARTS + timedelta(hours=3)}


def at(minutes: int) -> datetime:
    return STARTS + timedelta(minutes=minutes)


def row(came: int | None = None, left: int | None = None) -> dict[str, Any]:
    given = (None if one is None else at(one) for one in (came, left))
    return dict(zip(("came_at", "left_at"), given, strict=True)) | {"record_ref": None}


@pytest.mark.parametrize(
    ("came", "left", "now", "begin", "end"),
    [
        (-20, None, 200, 0, 180),
        (70, None, 200, 70, 180),
        (None, None, 200, 0, 180),
        (-20, 150, 200, 0, 150),
        (70, 210, 220, 70, 180),
        (70, None, 100, 70, 100),
        (-20, None, -10, 0, 1),
        (-20, -10, 200, 0, 1),
        (190, None, 200, 190, 191),
    ],
    ids=[
        "came early",
        "came late",
        "never checked in",
        "left early",
        "left late",
        "still there",
        "not begun",
        "left before it began",
        "came after its end",
    ],
)
def test_the_service_is_offered_from_the_later_begin_to_the_earlier_end(
    came: int | None, left: int | None, now: int, begin: int, end: int
) -> None:
    assert times(row(came, left), SHIFT, at(now)) == (at(begin), at(end))


def test_a_record_is_offered_with_its_own_times() -> None:
    record = row(70, 100) | {"record_ref": "R-1", "started_at": at(5), "ended_at": at(90)}
    assert times(record, SHIFT, at(200)) == (at(5), at(90))


@pytest.mark.parametrize(
    ("methods", "supported"),
    [
        (["scan"], EvidenceClass.SCAN),
        (["self_location"], EvidenceClass.SELF_LOCATION),
        (["organiser"], EvidenceClass.ROSTER),
        ([], EvidenceClass.ROSTER),
        (["scan", "self_location"], EvidenceClass.SELF_LOCATION),
        (["organiser", "scan"], EvidenceClass.ROSTER),
    ],
)
def test_a_record_is_of_the_class_that_the_weakest_check_in_supports(
    methods: list[str], supported: EvidenceClass
) -> None:
    assert evidence_class(methods) is supported
