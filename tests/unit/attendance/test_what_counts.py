"""Minutes count where shift, presence and evidence support them; what does not fit is held with its own reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.messages.attendance import ServiceConfirmed
from contracts.messages.base import EvidenceClass
from contracts.messages.opportunities import SignupWithdrawn
from tests.support.attendance import World, at, attest, check_in, check_out, signup, told
from tests.support.attendance_policy import Strict

DIGEST = "d" * 64


def test_a_scanned_service_inside_its_shift_counts_by_itself() -> None:
    world = Strict().shift()
    world.stay(at("08:55"), at("12:03"))
    assert world.attested(at("09:00"), at("12:00")) == ["confirmed r1v1"]


def test_a_confirmation_names_the_versions_of_policy_that_decided() -> None:
    world = Strict().shift()
    world.stay(at("08:55"), at("12:03"))
    [confirmed] = world.deliver(attest("r1", "s1", at("09:00"), at("12:00"), home="zz"))
    assert isinstance(confirmed, ServiceConfirmed)
    since = at("00:00") - timedelta(days=5)
    assert (confirmed.host_policy, confirmed.home_policy) == (since, since)


def test_before_the_first_version_of_a_seats_policy_a_check_in_of_the_day_is_enough() -> None:
    world = Strict()
    day = -7  # Monday of June
    world.deliver(
        signup("s1", starts_at=at("09:00", day), ends_at=at("12:00", day)),
        check_in("s1", at("11:59", day)),
    )
    [confirmed] = world.deliver(attest("r1", "s1", at("09:00", day), at("17:00", day), home="zz"))
    assert list(told([confirmed])) == ["confirmed r1v1"]
    assert isinstance(confirmed, ServiceConfirmed)
    assert (confirmed.host_policy, confirmed.home_policy) == (None, None)


def test_eight_hours_attested_of_one_minute_present_are_held_where_they_were_confirmed() -> None:
    world = Strict().shift(end=at("17:00"))
    world.stay(at("09:00"), at("09:01"))
    assert world.attested(at("09:00"), at("17:00")) == ["held r1v1 beyond_presence"]


def test_a_service_wholly_before_she_came_is_held() -> None:
    world = Strict().shift(end=at("17:00"))
    world.stay(at("14:00"), at("17:00"))
    assert world.attested(at("09:00"), at("12:00")) == ["held r1v1 beyond_presence"]


@pytest.mark.parametrize(("start", "end"), [("08:29", "12:00"), ("09:00", "12:31"), ("13:00", "15:00")])
def test_a_service_outside_the_shift_and_its_grace_is_held(start: str, end: str) -> None:
    world = Strict().shift()
    world.stay(at("06:00"), at("13:59"))
    assert world.attested(at(start), at(end)) == ["held r1v1 outside_shift"]


@pytest.mark.parametrize(("start", "end"), [("08:30", "12:00"), ("09:00", "12:30")])
def test_a_service_within_the_grace_of_the_shift_counts(start: str, end: str) -> None:
    world = Strict().shift()
    world.stay(at("08:00"), at("13:00"))
    assert world.attested(at(start), at(end)) == ["confirmed r1v1"]


@pytest.mark.parametrize(("start", "end", "counts"), [("08:50", "12:10", True), ("08:49", "12:00", False)])
def test_a_service_may_reach_beyond_presence_as_far_as_two_clocks_differ(start: str, end: str, counts: bool) -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at("12:00"))
    assert world.attested(at(start), at(end)) == ["confirmed r1v1" if counts else "held r1v1 beyond_presence"]


def test_three_pairs_of_a_day_are_summed_and_the_time_between_them_must_be_a_break() -> None:
    world = Strict().shift(end=at("18:00"))
    for came, left in (("09:00", "11:00"), ("12:00", "14:00"), ("16:00", "18:00")):
        world.stay(at(came), at(left))
    assert world.attested(at("09:00"), at("18:00")) == ["held r1v1 beyond_presence"]
    assert world.attested(at("09:00"), at("18:00"), version=2, break_minutes=180) == ["confirmed r1v2"]


def test_attested_before_she_checks_out_a_record_is_held_until_then() -> None:
    world = Strict().shift()
    world.stay(at("09:00"), None)
    assert world.attested(at("09:00"), at("12:00")) == ["held r1v1 no_check_out"]
    assert list(told(world.deliver(check_out("s1", at("12:00"))))) == ["confirmed r1v1"]


def test_two_hours_after_the_shift_a_stay_is_closed_until_the_host_says_an_earlier_moment() -> None:
    world = Strict().shift()
    world.stay(at("09:00"), None)
    world.attested(at("09:00"), at("12:00"))
    assert list(told(world.deliver(check_out("s1", at("14:01"))))) == ["refused stay_closed"]
    assert world.standing("r1").held_for == "no_check_out"
    assert list(told(world.deliver(check_out("s1", at("12:00"))))) == ["confirmed r1v1"]


def test_both_days_of_a_night_count_by_one_stay() -> None:
    world = Strict().shift(start=at("22:00"), end=at("06:00", 1))
    world.stay(at("21:55"), at("06:02", 1))
    assert world.attested(at("22:00"), at("24:00")) == ["confirmed r1v1"]
    assert world.attested(at("00:00", 1), at("06:00", 1), "r2") == ["confirmed r2v1"]


def test_the_last_minutes_of_a_night_after_midnight_are_not_too_short() -> None:
    world = Strict().shift(start=at("18:00"), end=at("00:10", 1))
    world.stay(at("18:00"), at("00:10", 1))
    assert world.attested(at("18:00"), at("24:00")) == ["confirmed r1v1"]
    assert world.attested(at("00:00", 1), at("00:10", 1), "r2") == ["confirmed r2v1"]


@pytest.mark.parametrize(("left", "counts"), [("10:48", True), ("10:47", False)])
def test_less_than_sixty_percent_of_the_shift_is_too_short(left: str, counts: bool) -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at(left))
    assert world.attested(at("09:00"), at(left)) == ["confirmed r1v1" if counts else "held r1v1 too_short"]


def test_in_a_shift_that_was_cancelled_at_half_time_the_half_is_the_whole() -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at("10:00"))
    world.ended(SignupWithdrawn, withdrawn_at=at("10:00"), reason="shift_cancelled")
    assert world.attested(at("09:00"), at("10:00")) == ["confirmed r1v1"]


@pytest.mark.parametrize(("days", "counts"), [(30, True), (31, False)])
def test_a_record_that_comes_a_month_after_the_shift_is_too_late(days: int, counts: bool) -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at("12:00"))
    said = world.attested(at("09:00"), at("12:00"), said_at=at("11:00") + timedelta(days=days))
    assert said == ["confirmed r1v1" if counts else "held r1v1 too_late"]


def test_a_version_of_a_year_later_is_late_although_the_first_version_came_in_time() -> None:
    """A record of one minute in time, and the hours a year later."""
    world = Strict({"least_minutes": 0, "least_percent": 0}).shift()
    world.stay(at("09:00"), at("12:00"))
    assert world.attested(at("09:00"), at("09:01")) == ["confirmed r1v1"]
    late = world.attested(at("09:00"), at("12:00"), version=2, said_at=at("09:00", 365))
    assert late == ["held r1v2 too_late"]
    assert world.minutes() == 1


@pytest.mark.parametrize("evidence", [EvidenceClass.SELF_LOCATION, EvidenceClass.ROSTER, EvidenceClass.SUPPLEMENT])
def test_a_class_that_needs_a_person_is_held_for_review(evidence: EvidenceClass) -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at("12:00"))
    more: dict[str, Any] = {"evidence": evidence, "reason_code": "forgot", "evidence_digest": DIGEST}
    assert world.attested(at("09:00"), at("12:00"), **more) == ["held r1v1 needs_review"]


def test_what_an_organiser_entered_is_no_scan_because_the_record_says_so() -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at("12:00"), method="organiser")
    assert world.attested(at("09:00"), at("12:00")) == ["held r1v1 needs_review"]


def test_a_seat_may_let_a_class_count_by_itself() -> None:
    world = Strict({"without_review": ["scan", "self_location"]}).shift()
    world.stay(at("09:00"), at("12:00"), method="self_location")
    assert world.attested(at("09:00"), at("12:00"), evidence=EvidenceClass.SELF_LOCATION) == ["confirmed r1v1"]


@pytest.mark.parametrize("lacks", ["reason_code", "evidence_digest"])
def test_a_supplement_without_its_reason_or_the_digest_of_its_evidence_is_held(lacks: str) -> None:
    world = Strict({"without_review": ["scan", "supplement"]}).shift()
    world.stay(at("09:00"), at("12:00"))
    whole = {"reason_code": "forgot", "evidence_digest": DIGEST}
    more: dict[str, Any] = {"evidence": EvidenceClass.SUPPLEMENT} | whole
    assert world.attested(at("09:00"), at("12:00"), **more | {lacks: None}) == ["held r1v1 no_evidence"]
    assert world.attested(at("09:00"), at("12:00"), version=2, **more) == ["confirmed r1v2"]


def test_a_supplement_is_never_longer_than_its_shift() -> None:
    world = Strict().shift()
    world.stay(at("08:30"), at("12:30"))
    more: dict[str, Any] = {
        "evidence": EvidenceClass.SUPPLEMENT,
        "reason_code": "forgot",
        "evidence_digest": DIGEST,
    }
    assert world.attested(at("08:59"), at("12:00"), **more) == ["held r1v1 outside_shift"]


def test_one_sign_up_and_a_stay_on_each_day_of_a_year_mint_no_minutes() -> None:
    world = Strict().shift()
    for day in range(1, 8):
        world.stay(at("09:00", day), at("17:00", day))
        assert world.attested(at("09:00", day), at("17:00", day), f"r{day}") == [f"held r{day}v1 outside_shift"]
    assert world.minutes() == 0


def test_nobody_serves_in_two_registries_without_the_time_to_travel() -> None:
    world = Strict().shift().shift("s2", at("12:30"), at("15:30"), host="bb")
    world.stay(at("09:00"), at("12:00"))
    world.stay(at("12:30"), at("15:30"), shift="s2", host="bb")
    assert world.attested(at("09:00"), at("12:00")) == ["confirmed r1v1"]
    assert world.attested(at("12:30"), at("15:30"), "r2", shift="s2", host="bb") == ["held r2v1 travel"]
    again = world.attested(at("09:00"), at("12:00"), version=2, revoked=True)
    assert again == ["revoked r1v2", "confirmed r2v1"]


def test_within_one_registry_nobody_has_to_travel() -> None:
    world = Strict().shift().shift("s2", at("12:00"), at("15:00"))
    world.stay(at("09:00"), at("12:00"))
    world.stay(at("12:00"), at("15:00"), shift="s2")
    assert world.attested(at("09:00"), at("12:00")) == ["confirmed r1v1"]
    assert world.attested(at("12:00"), at("15:00"), "r2", shift="s2") == ["confirmed r2v1"]


def test_the_day_has_the_cap_of_her_home_and_not_of_the_host() -> None:
    world = Strict(home={"day_minutes": 200}).shift().shift("s2", at("13:00"), at("15:00"))
    world.stay(at("09:00"), at("12:00"))
    world.stay(at("13:00"), at("15:00"), shift="s2")
    assert world.attested(at("09:00"), at("12:00")) == ["confirmed r1v1"]
    assert world.attested(at("13:00"), at("15:00"), "r2", shift="s2") == ["held r2v1 over_cap"]


def test_minutes_are_lowered_although_nothing_supports_what_is_left() -> None:
    world = Strict().shift()
    world.stay(at("09:00"), at("12:00"))
    world.attested(at("09:00"), at("12:00"))
    lower = world.attested(at("09:00"), at("09:05"), version=2, evidence=EvidenceClass.ROSTER, said_at=at("09:00", 90))
    assert lower == ["confirmed r1v2"]
    assert world.minutes() == 5


def test_at_home_only_overlap_and_cap_are_judged() -> None:
    world = Strict()
    assert world.attested(at("09:00"), at("12:00"), host="zz") == ["confirmed r1v1"]
    assert world.attested(at("11:00"), at("13:00"), "r2", shift="s2", host="zz") == ["held r2v1 overlap"]
    assert world.attested(at("13:00"), at("19:00"), "r3", shift="s3", host="zz") == ["held r3v1 over_cap"]


def test_a_sign_up_without_a_window_is_judged_by_presence_and_evidence_alone() -> None:
    """Sign-ups from before attendance kept windows."""
    world = Strict()
    world.deliver(signup("s1"))
    world.stay(at("02:00"), at("05:00"))
    assert world.attested(at("02:00"), at("05:00")) == ["confirmed r1v1"]


def test_without_a_policy_no_record_is_compared_with_its_shift() -> None:
    world = World()
    world.deliver(signup("s1", starts_at=at("09:00"), ends_at=at("12:00")), check_in("s1", at("11:59")))
    assert list(told(world.deliver(attest("r1", "s1", at("01:00"), at("05:00"), home="zz")))) == ["confirmed r1v1"]
