"""What a home answers, and what follows when it does not: late, repeated, contradicting, each capability."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.messages import receipts
from contracts.messages.deliveries import CreditPosted, CreditQueried, CreditReported
from contracts.registry import Capability
from tests.support.bridge import World, credits, linked, of_kind
from tests.support.bridge_messages import HOME, HOME_REF, HOST, HOST_REF, THIRD, person


def booked(world: World, minutes: int) -> None:
    """The first version is credited."""
    world.confirm(1, minutes)
    world.accept(1)


def test_a_receipt_repeated_changes_nothing_and_a_contradicting_one_is_refused() -> None:
    world = linked()
    booked(world, 60)
    assert world.accept(1) == []
    assert world.service().posted == 60
    world.refuse(1)
    world.accept(1, 61)
    assert world.refused(HOME) == ["receipt_conflict", "receipt_conflict"]
    assert (world.service().posted, world.transfer(1).state) == (60, "credited")


def test_a_refusal_for_good_stands_and_a_later_version_posts_the_whole_total() -> None:
    world = linked()
    world.confirm(1, 600)
    (report,) = of_kind(world.refuse(1, "over_cap_at_home"), CreditReported)
    assert (report.state, report.reason) == ("refused", "over_cap_at_home")
    world.accept(1)
    assert world.refused(HOME) == ["receipt_conflict"]
    assert credits(world.confirm(2, 480)) == [480]


def test_a_credit_of_other_minutes_is_a_conflict_and_uncertain_until_the_right_ones_are_said() -> None:
    world = linked()
    world.confirm(1, 60)
    world.accept(1, 30)
    assert (world.refused(HOME), world.transfer(1).state, world.service().posted) == (
        ["receipt_conflict"],
        "uncertain",
        0,
    )
    world.refuse(1, retry=True)
    assert world.transfer(1).state == "uncertain"
    assert credits(world.confirm(2, 50)) == []
    assert credits(world.accept(1, 60)) == [-10]


def test_a_home_that_refuses_for_the_moment_is_tried_again_after_a_growing_backoff() -> None:
    world = linked()
    world.confirm(1, 60)
    backoffs = []
    for _ in range(12):
        world.refuse(1, "down", retry=True)
        assert world.transfer(1).state == "queued"
        (due,) = world.timers.values()
        backoffs.append((due - world.now).total_seconds())
        assert credits(world.pass_time(due - world.now)) == [60]
    assert backoffs[:4] == [1, 2, 4, 8]
    assert backoffs[-1] == 300
    world.accept(1)
    assert world.service().posted == 60


def test_a_new_version_takes_the_place_of_one_that_the_home_refused_for_the_moment() -> None:
    world = linked()
    world.confirm(1, 600)
    world.refuse(1, "over_cap", retry=True)
    assert credits(world.confirm(2, 480)) == [480]
    assert world.transfer(1).state == "superseded"
    assert credits(world.pass_time(10 * timedelta(seconds=1))) == []


def test_a_credit_sent_twice_and_answered_once_still_stands_in_the_way() -> None:
    """The first answer may be "later" and the second one "booked": a new version sent between them would double it."""
    world = linked()
    world.confirm(1, 60)
    assert credits(world.pass_time(30 * timedelta(seconds=1))) == [60]
    world.refuse(1, "down", retry=True)
    assert credits(world.confirm(2, 50)) == []
    assert credits(world.accept(1)) == [-10]
    world.accept(2)
    assert world.service().posted == 50


def test_an_idempotent_home_that_does_not_answer_gets_the_same_credit_again_less_and_less_often() -> None:
    world = linked("idempotent")
    (first,) = of_kind(world.confirm(1, 60), CreditPosted)
    (again,) = of_kind(world.pass_time(timedelta(seconds=30)), CreditPosted)
    assert again == first.model_copy(update={"attempt": 2})
    assert credits(world.pass_time(timedelta(seconds=59))) == []
    assert credits(world.pass_time(timedelta(seconds=1))) == [60]
    world.accept(1)
    assert (world.service().posted, world.timers) == (60, {})


def test_without_consent_a_credit_is_not_even_repeated() -> None:
    world = linked("idempotent")
    world.confirm(1, 60)
    world.withdraw(1)
    assert credits(world.pass_time(timedelta(seconds=30))) == []
    assert (world.transfer(1).state, world.transfer(1).reason) == ("uncertain", "consent_withdrawn")
    assert credits(world.give(2)) == [60]
    world.accept(1)
    assert world.service().posted == 60


def test_a_queryable_home_is_asked_and_what_it_never_saw_is_sent_again() -> None:
    world = linked("queryable")
    world.confirm(1, 60)
    sends = world.pass_time(timedelta(seconds=30))
    assert (credits(sends), len(of_kind(sends, CreditQueried)), world.transfer(1).state) == ([], 1, "sent")
    assert credits(world.cannot_say(1)) == [60]
    world.accept(1)
    assert world.service().posted == 60


def test_a_queryable_home_that_cannot_say_is_asked_at_once_and_booked_when_it_knows() -> None:
    world = linked("queryable")
    world.confirm(1, 60)
    sends = world.cannot_say(1)
    assert (credits(sends), len(of_kind(sends, CreditQueried)), world.transfer(1).state) == ([], 1, "uncertain")
    world.accept(1)
    assert (world.service().posted, world.transfer(1).state) == (60, "credited")


def test_a_home_that_can_do_neither_is_never_tried_twice() -> None:
    world = linked("neither")
    world.confirm(1, 60)
    sends = world.pass_time(timedelta(seconds=30))
    assert (credits(sends), world.transfer(1).state, world.timers) == ([], "uncertain", {})
    world.confirm(2, 50)
    assert credits(world.pass_time(timedelta(days=1))) == []
    assert credits(world.accept(1)) == [-10]


@pytest.mark.parametrize("capability", ["idempotent", "queryable", "neither"])
def test_a_receipt_that_comes_after_all_asking_still_counts(capability: Capability) -> None:
    world = linked(capability)
    world.confirm(1, 60)
    for _ in range(5):
        world.pass_time(timedelta(hours=1))
    world.accept(1)
    assert (world.service().posted, world.transfer(1).state) == (60, "credited")
    assert world.pass_time(timedelta(days=1)) == []


def test_an_idempotent_home_that_cannot_say_is_sent_the_credit_again() -> None:
    world = linked("idempotent")
    world.confirm(1, 60)
    assert credits(world.cannot_say(1)) == []
    assert world.transfer(1).state == "uncertain"
    assert credits(world.pass_time(timedelta(seconds=30))) == [60]


def test_a_receipt_for_what_was_never_sent_is_refused() -> None:
    """Transfer ids can be computed by anyone; to accept one early must not count as booked."""
    world = linked()
    world.withdraw(1)
    world.confirm(1, 60)
    world.accept(1, 60)
    world.refuse(1)
    world.cannot_say(1)
    assert world.refused(HOME) == ["not_sent"] * 3
    assert (world.transfer(1).state, world.service().posted) == ("withheld", 0)


def test_a_receipt_from_another_registry_or_for_another_volunteer_or_of_no_transfer_is_refused() -> None:
    world = linked()
    world.confirm(1, 60)
    world.accept(1, code=THIRD, ref=HOME_REF)
    world.accept(1, code=HOST, ref=HOST_REF)
    world.accept(1, ref="S2")
    nobody = receipts.CreditUnknown(transfer_id=person(9), volunteer_ref=HOME_REF)
    world.say(HOME, nobody)
    assert (world.refused(THIRD), world.refused(HOST)) == (["not_yours"], ["not_yours"])
    assert world.refused(HOME) == ["not_yours", "unknown_transfer"]
    assert world.service().posted == 0


def test_nothing_is_sent_to_a_registry_that_is_paused_and_all_of_it_when_it_is_back() -> None:
    world = World(states={HOME: "paused"})
    world.link()
    assert credits(world.confirm(1, 60)) == []
    assert credits(world.confirm(2, 50)) == []
    assert (world.transfer(1).state, world.transfer(2).reason) == ("superseded", "registry_paused")
    world.configure(HOME, "active")
    assert credits(world.pass_time(timedelta(minutes=5))) == [50]
    world.accept(2)
    assert (world.service().posted, world.timers) == (50, {})


def test_a_paused_registry_is_not_asked_either() -> None:
    world = linked()
    world.confirm(1, 60)
    world.configure(HOME, "paused")
    assert world.pass_time(timedelta(seconds=30)) == []
    world.configure(HOME, "active")
    assert credits(world.pass_time(timedelta(seconds=30))) == [60]
