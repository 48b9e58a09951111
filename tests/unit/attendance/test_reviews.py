"""People decide about held records: never who attested them, with the tier that the reason needs, of one version."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.messages import attendance
from contracts.messages.base import EvidenceClass
from contracts.messages.opportunities import SignupConfirmed
from contracts.messages.service import Outcome
from tests.support.attendance import LIN, XIA, at, attest, check_out, told
from tests.support.attendance import review as reviewed
from tests.support.attendance_policy import Strict

ATTESTED: dict[str, Any] = {
    "evidence": EvidenceClass.SUPPLEMENT,
    "reason_code": "device_was_down",
    "evidence_digest": "d" * 64,
    "attested_by": "leader",
}


def held(*, start: str = "09:00", end: str = "12:00", **more: Any) -> Strict:
    """A record that was entered by hand, and waits for a person."""
    world = Strict(**more).shift(end=at("21:00"))
    world.stay(at(start), at(end))
    assert world.attested(at(start), at(end), **ATTESTED)[0].startswith("held r1v1")
    return world


def review(world: Strict, outcome: Outcome = "approved", *, ref: str = "r1", **more: Any) -> list[str]:
    """What follows from a review of the record."""
    return list(told(world.deliver(reviewed(ref, "s1", outcome=outcome, **more))))


LAX = {"least_percent": 0}


def test_what_a_reviewer_approves_counts_and_the_confirmation_names_the_tier() -> None:
    world = held(host=LAX)
    assert world.standing("r1").held_for == "needs_review"
    assert review(world) == ["confirmed r1v1"]
    [*_, confirmed] = world.sent
    assert isinstance(confirmed, attendance.ServiceConfirmed)
    assert confirmed.approved_by == "host"
    assert world.minutes() == 180


def test_who_attested_a_record_does_not_review_it() -> None:
    world = held(host=LAX)
    assert review(world, reviewer="leader") == ["refused self_review"]
    assert review(world, "rejected", reviewer="leader") == ["refused self_review"]
    assert world.minutes() == 0


def test_a_record_that_does_not_say_who_attested_it_is_not_reviewed() -> None:
    world = held(host=LAX)
    world.attested(at("09:00"), at("12:00"), version=2, **ATTESTED | {"attested_by": None})
    assert review(world, version=2) == ["refused no_attester"]


@pytest.mark.parametrize("version", [1, 3])
def test_a_review_of_another_version_than_the_latest_decides_nothing(version: int) -> None:
    world = held(host=LAX)
    world.attested(at("09:00"), at("11:00"), version=2, **ATTESTED)
    assert review(world, version=version) == ["refused other_version"]
    assert world.minutes() == 0


def test_an_approval_ends_with_its_version() -> None:
    world = held(host=LAX)
    review(world)
    assert world.attested(at("09:00"), at("12:05"), version=2, **ATTESTED) == ["held r1v2 needs_review"]
    assert world.minutes() == 180


def test_what_a_reviewer_rejects_stays_held_until_a_later_version() -> None:
    world = held(host=LAX)
    assert review(world, "rejected") == ["held r1v1 review_rejected"]
    world.ended(SignupConfirmed)
    assert world.standing("r1").held_for == "review_rejected"
    assert world.attested(at("09:00"), at("11:00"), version=2, **ATTESTED) == ["held r1v2 needs_review"]


def test_a_rejection_may_be_taken_back_by_a_reviewer() -> None:
    world = held(host=LAX)
    review(world, "rejected")
    assert review(world, tier="province", reviewer="inspector") == ["confirmed r1v1"]


def test_who_rejected_is_not_overruled_by_a_lower_tier() -> None:
    world = held(host=LAX)
    review(world, "rejected", tier="province", reviewer="inspector")
    assert review(world) == ["refused tier_too_low"]


def test_a_day_beyond_eight_hours_needs_the_parent_organisation_and_beyond_twelve_the_province() -> None:
    world = held(start="09:00", end="19:00", host=LAX | {"without_review": ["scan", "supplement"]})
    assert world.standing("r1").held_for == "over_cap"
    assert review(world) == ["refused tier_too_low"]
    assert review(world, tier="parent") == ["confirmed r1v1"]
    assert world.days == {(XIA, at("09:00").date()): 600}

    world = Strict(LAX).shift(start=at("06:00"), end=at("21:00"))
    world.stay(at("06:00"), at("20:00"))
    assert world.attested(at("06:00"), at("20:00"), attested_by="leader") == ["held r1v1 over_cap"]
    assert review(world, tier="parent") == ["refused tier_too_low"]
    assert review(world, tier="province") == ["confirmed r1v1"]


def test_the_host_approves_the_evidence_and_the_parent_organisation_the_day() -> None:
    world = held(start="09:00", end="19:00", host=LAX)
    assert review(world) == ["held r1v1 over_cap"]
    assert review(world, tier="parent", reviewer="parent") == ["confirmed r1v1"]


def test_what_a_tier_approved_leaves_no_room_for_further_minutes_of_that_day() -> None:
    world = held(start="09:00", end="19:00", host=LAX | {"without_review": ["scan", "supplement"]})
    review(world, tier="parent")
    world.shift("s2", at("19:00"), at("20:00"))
    world.stay(at("19:00"), at("20:00"), shift="s2")
    assert world.attested(at("19:00"), at("20:00"), "r2", shift="s2") == ["held r2v1 over_cap"]


def test_presence_that_a_reviewer_vouches_for_need_not_be_scanned() -> None:
    world = Strict().shift()
    assert world.attested(at("09:00"), at("12:00"), attested_by="leader") == ["held r1v1 no_check_in"]
    assert review(world) == ["confirmed r1v1"]


@pytest.mark.parametrize("lacks", ["reason_code", "evidence_digest"])
def test_no_reviewer_approves_a_supplement_without_its_evidence(lacks: str) -> None:
    world = Strict(LAX).shift()
    world.attested(at("09:00"), at("12:00"), **ATTESTED | {lacks: None})
    assert review(world) == ["refused not_reviewable"]


def test_no_reviewer_gives_the_same_hour_twice() -> None:
    world = Strict(LAX).shift().shift("s2")
    for shift in ("s1", "s2"):
        world.stay(at("09:00"), at("12:00"), shift=shift)
    world.attested(at("09:00"), at("12:00"), "r0", shift="s2")
    assert world.attested(at("09:00"), at("12:00"), attested_by="leader") == ["held r1v1 overlap"]
    assert review(world) == ["refused not_reviewable"]


def test_a_record_that_counts_is_not_reviewed() -> None:
    world = held(host=LAX)
    review(world)
    assert review(world) == ["refused not_held"]


def test_a_review_of_a_record_that_nobody_attested_or_of_another_person_is_refused() -> None:
    world = held(host=LAX)
    assert review(world, ref="r9") == ["refused no_record"]
    assert review(world, person=LIN) == ["refused other_person"]


def test_a_day_that_was_approved_is_lowered_and_grows_no_more() -> None:
    world = held(start="09:00", end="19:00", host=LAX | {"without_review": ["scan", "supplement"]})
    review(world, tier="parent")
    assert world.attested(at("09:00"), at("18:30"), version=2, **ATTESTED) == ["confirmed r1v2"]
    assert world.attested(at("09:00"), at("18:45"), version=3, **ATTESTED) == ["held r1v3 over_cap"]
    assert world.minutes() == 570


def test_a_check_out_that_comes_after_a_rejection_ends_no_rejection() -> None:
    world = Strict().shift()
    world.stay(at("09:00"), None)
    world.deliver(attest("r1", "s1", at("09:00"), at("12:00"), home="zz", attested_by="leader"))
    review(world, "rejected")
    assert list(told(world.deliver(check_out("s1", at("12:00"))))) == []
    assert world.minutes() == 0
