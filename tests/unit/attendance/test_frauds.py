"""Patterns of fraud that attendance holds or refuses, each with its own reason. Those that another test has are listed
in the issue's words: one stay for a year, a service before she came or after the shift, versions, tiers, reviews."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contracts.messages.base import EvidenceClass
from contracts.messages.opportunities import SignupWithdrawn
from tests.support.attendance import at
from tests.support.attendance_policy import Strict

WHOLE: dict[str, Any] = {"evidence": EvidenceClass.SUPPLEMENT, "reason_code": "forgot", "evidence_digest": "d" * 64}


def test_five_hours_that_a_clerk_enters_in_the_afternoon_with_a_check_in_of_the_morning_are_held() -> None:
    """Seen for sale: five yuan an hour."""
    world = Strict().shift(start=at("08:00"), end=at("13:00"))
    world.stay(at("08:00"), at("13:00"), method="organiser")
    assert world.attested(at("08:00"), at("13:00"), **WHOLE) == ["held r1v1 needs_review"]


def test_a_bulk_of_supplements_that_comes_after_the_deadline_is_late() -> None:
    world = Strict()
    for day in range(5):
        world.shift(f"s{day}", at("09:00", day), at("12:00", day))
        world.stay(at("09:00", day), at("12:00", day), shift=f"s{day}")
        span = at("09:00", day), at("12:00", day)
        told = world.attested(*span, f"r{day}", shift=f"s{day}", said_at=at("09:00", 60), **WHOLE)
        assert told == [f"held r{day}v1 too_late"]
    assert world.minutes() == 0


def test_nobody_is_in_both_cities_at_once() -> None:
    world = Strict().shift().shift("s2", host="bb")
    world.stay(at("09:00"), at("12:00"))
    world.stay(at("09:00"), at("12:00"), shift="s2", host="bb")
    assert world.attested(at("09:00"), at("12:00")) == ["confirmed r1v1"]
    assert world.attested(at("09:00"), at("12:00"), "r2", shift="s2", host="bb") == ["held r2v1 overlap"]


def test_one_service_split_into_many_records_counts_once() -> None:
    world = Strict({"least_percent": 0}).shift()
    world.stay(at("09:00"), at("12:00"))
    assert world.attested(at("09:00"), at("10:00")) == ["confirmed r1v1"]
    for number, begin in enumerate(("10:00", "11:00"), 2):
        span = at(begin), at(begin) + timedelta(hours=1)
        assert world.attested(*span, f"r{number}") == [f"held r{number}v1 duplicate"]
    assert world.minutes() == 60


def test_the_cap_of_a_day_is_not_doubled_by_two_hosts() -> None:
    world = Strict().shift(start=at("06:00"), end=at("11:00")).shift("s2", at("13:00"), at("18:00"), host="bb")
    world.stay(at("06:00"), at("11:00"))
    world.stay(at("13:00"), at("18:00"), shift="s2", host="bb")
    assert world.attested(at("06:00"), at("11:00")) == ["confirmed r1v1"]
    assert world.attested(at("13:00"), at("18:00"), "r2", shift="s2", host="bb") == ["held r2v1 over_cap"]


def test_a_check_in_for_a_sign_up_that_was_given_back_before_the_shift_gives_no_right() -> None:
    world = Strict().shift()
    world.ended(SignupWithdrawn, withdrawn_at=at("08:00"))
    world.stay(at("09:00"), at("12:00"))
    assert world.attested(at("09:00"), at("12:00")) == ["held r1v1 no_signup"]


def test_two_stays_at_once_are_no_longer_than_one() -> None:
    """Three check-ins of one morning were three hours, in which she was there for two."""
    world = Strict({"least_percent": 0}).shift(end=at("14:00"))
    for came in ("09:00", "09:01"):
        world.stay(at(came), None)
    for left in ("10:00", "10:01"):
        world.leave(at(left))
    world.stay(at("13:00"), at("14:00"))
    assert world.attested(at("09:00"), at("14:00"), break_minutes=120) == ["held r1v1 beyond_presence"]
    assert world.attested(at("09:00"), at("14:00"), version=2, break_minutes=179) == ["confirmed r1v2"]
