"""Check-in and check-out: what is kept, what it evidences, what goes back to its sender."""

from __future__ import annotations

from contracts.messages import Message
from contracts.messages.opportunities import (
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from services.attendance.states import Presence
from tests.support.attendance import World, at, attest, check_in, check_out, signup, told


def told_of(world: World, *messages: Message) -> list[str]:
    return list(told(world.deliver(*messages)))


def stays(world: World) -> list[tuple[int, bool]]:
    return [(row.pair, row.left_at is not None) for row in world.rows(Presence)]


def test_three_pairs_a_day_are_kept_and_a_fourth_is_refused() -> None:
    world = World()
    world.deliver(signup("s1"))
    for hour in ("08", "10", "12"):
        said = told_of(world, check_in("s1", at(f"{hour}:00")), check_out("s1", at(f"{hour}:30")))
        assert said == []
    assert told_of(world, check_in("s1", at("14:00"))) == ["refused too_many_check_ins"]
    assert told_of(world, check_in("s1", at("08:00", 1))) == []
    assert stays(world) == [(1, True), (2, True), (3, True), (1, False)]


def test_the_same_check_in_and_check_out_reported_again_change_nothing() -> None:
    world = World()
    world.deliver(signup("s1"))
    for _ in range(5):
        assert told_of(world, check_in("s1", at("08:00")), check_out("s1", at("09:00"))) == []
    assert stays(world) == [(1, True)]


def test_a_check_in_waits_for_its_sign_up_with_its_check_out_behind_it() -> None:
    world = World()
    assert told_of(world, check_in("s1", at("08:00")), check_out("s1", at("09:00"))) == []
    assert stays(world) == []
    world.deliver(signup("s1"))
    assert stays(world) == [(1, True)]


def test_a_check_in_counts_as_evidence_however_her_sign_up_stands_and_the_right_may_come_later() -> None:
    """Seen: a check-in in a home window that had lost was refused, so that its record stayed held when it stood."""
    for before, after in (
        (signup("s1", SignupWaitlisted), signup("s1", SignupPromoted)),
        (signup("s1", SignupRefused, reason="clash"), signup("s1", SignupNoted)),
        (signup("s1", SignupWithdrawn), signup("s1")),
    ):
        world = World()
        world.deliver(before)
        assert told_of(world, check_in("s1", at("08:00")), check_out("s1", at("09:00"))) == []
        assert stays(world) == [(1, True)]
        world.deliver(attest("r1", "s1", at("08:00"), at("09:00")))
        assert list(told(world.time_is_up())) == ["held r1v1 no_signup"]
        assert told_of(world, after) == ["confirmed r1v1"]


def test_the_first_word_on_a_sign_up_releases_a_check_in_even_if_it_is_a_refusal() -> None:
    world = World()
    world.deliver(check_in("s1", at("08:00")), check_out("s1", at("09:00")))
    world.deliver(signup("s1", SignupRefused, reason="clash"))
    assert (stays(world), world.parked) == ([(1, True)], [])


def test_a_check_in_stays_evidence_when_the_sign_up_is_withdrawn_afterwards() -> None:
    world = World()
    world.deliver(signup("s1"), check_in("s1", at("08:00")), signup("s1", SignupWithdrawn))
    assert told_of(world, check_out("s1", at("09:00"))) == []
    world.deliver(attest("r1", "s1", at("08:00"), at("09:00")))
    assert list(told(world.time_is_up())) == ["held r1v1 no_signup"]
    assert told_of(world, signup("s1")) == ["confirmed r1v1"]


def test_a_check_in_without_sign_up_goes_back_to_its_sender_when_its_time_is_up() -> None:
    world = World()
    world.deliver(check_in("s1", at("08:00")), check_out("s1", at("09:00")))
    assert list(told(world.time_is_up())) == ["refused no_signup", "refused no_check_in"]


def test_a_check_out_without_or_before_its_check_in_is_refused() -> None:
    world = World()
    world.deliver(signup("s1"))
    assert told_of(world, check_out("s1", at("09:00"))) == ["refused no_check_in"]
    world.deliver(check_in("s1", at("10:00")))
    assert told_of(world, check_out("s1", at("09:00"))) == ["refused no_check_in"]
    assert told_of(world, check_out("s1", at("11:00", 3))) == ["refused no_check_in"]


def test_a_stay_over_midnight_evidences_both_days() -> None:
    world = World()
    world.deliver(signup("s1"), check_in("s1", at("22:00")))
    assert told_of(world, attest("r2", "s1", at("00:00", 1), at("02:00", 1))) == ["held r2v1 no_check_in"]
    assert told_of(world, attest("r1", "s1", at("22:00"), at("24:00"))) == ["confirmed r1v1"]
    assert told_of(world, check_out("s1", at("02:00", 1))) == ["confirmed r2v1"]


def test_a_stay_that_ends_at_midnight_evidences_nothing_of_the_day_that_begins() -> None:
    """Seen: who left at 24:00 sharp counted as present on the next day, without coming again."""
    world = World()
    world.deliver(signup("s1"), check_in("s1", at("20:00")), check_out("s1", at("24:00")))
    assert told_of(world, attest("r1", "s1", at("20:00"), at("24:00"))) == ["confirmed r1v1"]
    assert told_of(world, attest("r2", "s1", at("09:00", 1), at("10:00", 1))) == ["held r2v1 no_check_in"]


def test_a_stay_of_no_length_at_midnight_evidences_the_day_on_which_she_came() -> None:
    world = World()
    world.deliver(signup("s1"), check_in("s1", at("24:00")), check_out("s1", at("24:00")))
    assert told_of(world, attest("r1", "s1", at("00:00", 1), at("02:00", 1))) == ["confirmed r1v1"]


def test_an_event_of_forty_five_hours_is_three_records_evidenced_by_one_stay() -> None:
    world = World()
    world.deliver(signup("s1"), check_in("s1", at("09:00")), check_out("s1", at("06:00", 2)))
    for day in range(3):
        assert told_of(world, attest(f"r{day}", "s1", at("01:00", day), at("05:00", day))) == [f"confirmed r{day}v1"]
