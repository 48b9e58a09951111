"""What attendance confirms, holds and revokes, and who comes next when something is freed."""

from __future__ import annotations

from contracts.messages import Message
from contracts.messages.attendance import ServiceConfirmed, ServiceRevoked
from contracts.messages.base import EvidenceClass
from contracts.messages.opportunities import (
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from tests.support.attendance import LIN, World, at, attest, check_in, signup, told


def present(world: World, *shifts: str, host: str = "aa", day: int = 0) -> World:
    """She has these posts and came to them."""
    for shift in shifts:
        world.deliver(signup(shift, host=host), check_in(shift, at("08:00", day), host=host))
    return world


def told_of(world: World, *messages: Message) -> list[str]:
    return list(told(world.deliver(*messages)))


def test_a_service_with_sign_up_and_check_in_is_confirmed_whole() -> None:
    world = present(World(), "s1")
    [fact] = world.deliver(attest("r1", "s1", at("09:00"), at("11:30"), break_minutes=15))
    assert isinstance(fact, ServiceConfirmed)
    assert (fact.minutes, fact.record.version, fact.host) == (135, 1, "aa")
    assert (fact.record.started_at, fact.record.break_minutes) == (at("09:00"), 15)


def test_a_service_recorded_by_roster_is_confirmed_too_when_she_checked_in() -> None:
    world = present(World(), "s1")
    record = attest("r1", "s1", at("09:00"), at("10:00"), evidence=EvidenceClass.ROSTER)
    assert told_of(world, record) == ["confirmed r1v1"]


def test_a_service_waits_for_its_sign_up_and_is_confirmed_when_it_comes() -> None:
    world = World()
    assert told_of(world, check_in("s1", at("08:00")), attest("r1", "s1", at("09:00"), at("10:00"))) == []
    assert told_of(world, signup("s2")) == []
    assert "confirmed r1v1" in told_of(world, signup("s1"))


def test_a_service_without_sign_up_is_held_when_its_time_is_up_and_decided_again_when_the_sign_up_comes() -> None:
    world = World()
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")))
    assert list(told(world.time_is_up())) == ["held r1v1 no_signup"]
    assert told_of(world, signup("s1")) == ["held r1v1 no_check_in"]
    assert told_of(world, check_in("s1", at("09:00"))) == ["confirmed r1v1"]


def test_a_place_in_the_waitlist_a_refusal_and_a_withdrawal_give_no_right_to_serve() -> None:
    for fact in (
        signup("s1", SignupWaitlisted),
        signup("s1", SignupRefused, reason="full"),
        signup("s1", SignupWithdrawn),
    ):
        world = World()
        world.deliver(fact, attest("r1", "s1", at("09:00"), at("10:00")))
        assert list(told(world.time_is_up())) == ["held r1v1 no_signup"]


def test_a_promotion_and_a_sign_up_at_home_give_the_right_to_serve() -> None:
    for kind in (SignupPromoted, SignupNoted):
        world = World()
        world.deliver(signup("s1", kind), check_in("s1", at("09:00")))
        assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"))) == ["confirmed r1v1"]


def test_asking_twice_is_refused_and_leaves_the_first_sign_up_standing() -> None:
    world = present(World(), "s1")
    world.deliver(signup("s1", SignupRefused, reason="already_signed_up"))
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"))) == ["confirmed r1v1"]


def test_a_sign_up_that_is_refused_for_a_reason_that_is_new_gives_no_right_to_serve() -> None:
    world = World()
    world.deliver(signup("s1", SignupRefused, reason="brand_new"), attest("r1", "s1", at("09:00"), at("10:00")))
    assert list(told(world.time_is_up())) == ["held r1v1 no_signup"]


def test_five_hours_that_appear_without_a_check_in_are_held_for_review() -> None:
    world = World()
    world.deliver(signup("s1"))
    assert told_of(world, attest("r1", "s1", at("09:00"), at("14:00"))) == ["held r1v1 no_check_in"]
    assert world.standing("r1").counted_minutes is None


def test_a_check_in_of_another_day_evidences_nothing() -> None:
    world = present(World(), "s1")
    assert told_of(world, attest("r1", "s1", at("09:00", 1), at("10:00", 1))) == ["held r1v1 no_check_in"]


def test_a_second_record_for_the_same_shift_and_day_is_held() -> None:
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")))
    assert told_of(world, attest("r2", "s1", at("11:00"), at("12:00"))) == ["held r2v1 duplicate"]
    revocation = attest("r1", "s1", at("09:00"), at("10:00"), version=2, revoked=True)
    assert told_of(world, revocation) == ["revoked r1v2", "confirmed r2v1"]


def test_the_same_shift_on_another_day_is_another_record() -> None:
    world = present(World(), "s1")
    world.deliver(check_in("s1", at("09:00", 1)), attest("r1", "s1", at("09:00"), at("10:00")))
    assert told_of(world, attest("r2", "s1", at("09:00", 1), at("10:00", 1))) == ["confirmed r2v1"]


def test_overlapping_service_in_two_registries_is_held_and_not_clipped() -> None:
    world = present(present(World(), "s1"), "s1", host="bb")
    world.deliver(attest("r1", "s1", at("09:00"), at("11:00")))
    fact = attest("r1", "s1", at("10:59"), at("12:00"), host="bb")
    assert told_of(world, fact) == ["held r1v1 overlap"]
    assert world.standing("r1", "bb").record().minutes == 61


def test_services_that_touch_do_not_overlap_and_persons_do_not_compete() -> None:
    world = present(present(World(), "s1"), "s1", host="bb")
    world.deliver(attest("r1", "s1", at("09:00"), at("11:00")))
    assert told_of(world, attest("r1", "s1", at("11:00"), at("12:00"), host="bb")) == ["confirmed r1v1"]
    world.deliver(signup("s1", person=LIN), check_in("s1", at("09:00"), person=LIN))
    assert told_of(world, attest("r3", "s1", at("09:00"), at("11:00"), person=LIN)) == ["confirmed r3v1"]


def test_more_than_the_cap_of_a_day_over_both_registries_is_held_whole() -> None:
    world = present(present(World(), "s1"), "s1", host="bb")
    world.deliver(attest("r1", "s1", at("08:00"), at("13:00")))
    assert told_of(world, attest("r2", "s1", at("13:00"), at("16:01"), host="bb")) == ["held r2v1 over_cap"]
    assert told_of(world, attest("r2", "s1", at("13:00"), at("16:00"), version=2, host="bb")) == ["confirmed r2v2"]


def test_the_cap_is_of_the_shanghai_day_and_a_shift_over_midnight_has_two() -> None:
    world = World()
    world.deliver(signup("s1"), check_in("s1", at("16:00")))
    world.deliver(signup("s2"), check_in("s2", at("00:00", 1)))
    assert told_of(world, attest("r1", "s1", at("16:00"), at("24:00"))) == ["confirmed r1v1"]
    assert told_of(world, attest("r2", "s2", at("00:00", 1), at("08:00", 1))) == ["confirmed r2v1"]


def test_lowering_a_record_frees_the_cap_for_one_that_is_held() -> None:
    world = present(World(), "s1", "s2")
    world.deliver(attest("r1", "s1", at("08:00"), at("13:00")), attest("r2", "s2", at("14:00"), at("18:00")))
    assert world.standing("r2").held_for == "over_cap"
    lowering = attest("r1", "s1", at("08:00"), at("12:00"), version=2)
    assert told_of(world, lowering) == ["confirmed r1v2", "confirmed r2v1"]


def test_moving_a_record_frees_its_time_and_who_attested_first_comes_first() -> None:
    world = present(World(), "s1", "s2", "s3")
    world.deliver(
        attest("r1", "s1", at("09:00"), at("12:00")),
        attest("z-first", "s2", at("10:00"), at("11:00")),
        attest("a-second", "s3", at("10:30"), at("11:30")),
    )
    moved = attest("r1", "s1", at("12:00"), at("14:00"), version=2)
    assert told_of(world, moved) == ["confirmed r1v2", "confirmed z-first" + "v1"]
    assert world.standing("a-second").held_for == "overlap"


def test_a_correction_to_another_day_frees_the_day_it_leaves() -> None:
    world = present(World(), "s1", "s2")
    world.deliver(check_in("s1", at("09:00", 1)))
    world.deliver(attest("r1", "s1", at("09:00"), at("11:00")), attest("r2", "s2", at("10:00"), at("12:00")))
    moved = attest("r1", "s1", at("09:00", 1), at("11:00", 1), version=2)
    assert told_of(world, moved) == ["confirmed r1v2", "confirmed r2v1"]


def test_a_held_correction_that_fits_at_last_frees_its_earlier_time_for_others() -> None:
    world = present(World(), "s1", "s2", "s3")
    world.deliver(
        attest("r1", "s1", at("09:00"), at("10:00")),
        attest("r2", "s2", at("11:00"), at("12:00")),
        attest("r3", "s3", at("09:30"), at("10:30")),  # overlaps r1
        attest("r1", "s1", at("11:00"), at("12:00"), version=2),  # overlaps r2, so 09:00 stays reserved
    )
    assert [world.standing(ref).held_for for ref in ("r1", "r2", "r3")] == ["overlap", None, "overlap"]
    revocation = attest("r2", "s2", at("11:00"), at("12:00"), version=2, revoked=True)
    assert told_of(world, revocation) == ["revoked r2v2", "confirmed r1v2", "confirmed r3v1"]


def test_raising_a_record_into_another_one_keeps_what_was_confirmed() -> None:
    world = present(World(), "s1", "s2")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")), attest("r2", "s2", at("10:00"), at("11:00")))
    raised = attest("r1", "s1", at("09:00"), at("10:30"), version=2)
    assert told_of(world, raised) == ["held r1v2 overlap"]
    row = world.standing("r1")
    assert (row.version, row.counted_version, row.counted_minutes, row.counted_to) == (2, 1, 60, at("10:00"))


def test_a_version_that_comes_after_a_higher_one_changes_nothing() -> None:
    world = present(World(), "s1")
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"), version=2)) == ["confirmed r1v2"]
    assert told_of(world, attest("r1", "s1", at("09:00"), at("12:00"), version=1)) == []
    assert world.standing("r1").counted_minutes == 60


def test_an_original_that_comes_after_its_revocation_stays_revoked() -> None:
    world = present(World(), "s1")
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"), version=2, revoked=True)) == ["revoked r1v2"]
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"))) == []
    assert world.standing("r1").counted_minutes is None


def test_a_revocation_counts_nothing_and_a_later_version_restores() -> None:
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")))
    [fact] = world.deliver(attest("r1", "s1", at("09:00"), at("10:00"), version=2, revoked=True))
    assert isinstance(fact, ServiceRevoked)
    assert fact.minutes == 0
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"), version=3)) == ["confirmed r1v3"]


def test_a_revocation_waits_behind_the_version_that_waits_for_its_sign_up() -> None:
    world = World()
    world.deliver(check_in("s1", at("09:00")), attest("r1", "s1", at("09:00"), at("10:00")))
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"), version=2, revoked=True)) == []
    assert told_of(world, signup("s1"))[-1] == "revoked r1v2"


def test_the_same_version_again_is_nothing_and_with_other_content_a_conflict() -> None:
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")))
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"))) == []
    assert told_of(world, attest("r1", "s1", at("09:00"), at("11:00"))) == ["refused version_conflict"]
    assert world.standing("r1").counted_minutes == 60


def test_a_record_belongs_to_one_person() -> None:
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")))
    other = attest("r1", "s1", at("09:00"), at("10:00"), version=2, person=LIN)
    assert told_of(world, other) == ["refused other_person"]


def test_a_correction_needs_no_sign_up_again_once_the_record_was_confirmed() -> None:
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("12:00")), signup("s1", SignupWithdrawn))
    assert told_of(world, attest("r1", "s1", at("09:00"), at("10:00"), version=2)) == ["confirmed r1v2"]


def test_a_restoration_needs_no_sign_up_again_once_the_record_was_confirmed() -> None:
    """Seen: revoked by mistake after the sign-up had ended, its restored minutes were held for ever."""
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")), signup("s1", SignupWithdrawn))
    revoked = attest("r1", "s1", at("09:00"), at("10:00"), version=2, revoked=True)
    restored = attest("r1", "s1", at("09:00"), at("10:00"), version=3)
    assert told_of(world, revoked, restored) == ["revoked r1v2", "confirmed r1v3"]
    # What was never confirmed has nothing to be restored to.
    never = attest("r2", "s1", at("12:00"), at("13:00"), revoked=True)
    assert told_of(world, never, attest("r2", "s1", at("12:00"), at("13:00"), version=2)) == ["revoked r2v1"]
    assert list(told(world.time_is_up())) == ["held r2v2 no_signup"]


def test_a_correction_to_another_shift_needs_the_sign_up_of_that_shift_and_back_again_needs_none() -> None:
    world = present(World(), "s1")
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")), signup("s1", SignupWithdrawn))
    world.deliver(attest("r1", "s2", at("09:00"), at("10:00"), version=2))
    assert list(told(world.time_is_up())) == ["held r1v2 no_signup"]
    assert world.standing("r1").counted_version == 1
    assert told_of(world, attest("r1", "s1", at("09:00"), at("11:00"), version=3)) == ["confirmed r1v3"]


def test_sign_ups_are_followed_through_line_refusal_promotion_withdrawal_and_a_second_time() -> None:
    world = World()
    world.deliver(signup("s1", SignupWaitlisted), check_in("s1", at("08:00")))
    world.deliver(attest("r1", "s1", at("09:00"), at("10:00")))
    assert list(told(world.time_is_up())) == ["held r1v1 no_signup"]
    # Asked a second time by the other registry: the place in line stands.
    assert told_of(world, signup("s1", SignupRefused, reason="already_signed_up")) == []
    assert told_of(world, signup("s1", SignupWithdrawn), signup("s1", SignupRefused, reason="full")) == []
    assert told_of(world, signup("s1", SignupWaitlisted)) == []
    assert told_of(world, signup("s1", SignupPromoted)) == ["confirmed r1v1"]


def test_a_lowering_fits_even_when_the_day_was_filled_under_a_higher_cap() -> None:
    world = present(World(cap=720), "s1", "s2")
    world.deliver(attest("r1", "s1", at("08:00"), at("14:00")), attest("r2", "s2", at("14:00"), at("20:00")))
    lower = world.under(480)
    assert told_of(lower, attest("r2", "s2", at("14:00"), at("19:00"), version=2)) == ["confirmed r2v2"]
    assert told_of(lower, attest("r2", "s2", at("14:00"), at("20:00"), version=3)) == ["held r2v3 over_cap"]
