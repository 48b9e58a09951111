"""One service record on its way home: versions, consent and receipts in the orders that hurt."""

from __future__ import annotations

import pytest

from contracts.messages.bridge import TransferChanged
from contracts.messages.deliveries import CreditPosted, CreditReported, ServiceDecided
from services.bridge.states import Step, Transfer
from tests.support.bridge import Raised, Sent, World, credits, linked, of_kind, states_told
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    T0,
    attested,
    broken,
    confirmed,
    person,
    restored,
)


def reported(sends: list[Sent]) -> list[tuple[int, str, str | None]]:
    """Version, state and reason of each report of a transfer."""
    return [(told.version, told.state, told.reason) for told in of_kind(sends, TransferChanged)]


def booked(world: World, minutes: int) -> None:
    """The first version is credited."""
    world.confirm(1, minutes)
    world.accept(1)


def test_a_confirmed_record_is_sent_home_and_credited_and_both_sides_are_told() -> None:
    world = linked()
    sends = world.confirm(1, 90)
    (credit,) = of_kind(sends, CreditPosted)
    assert (credit.volunteer_ref, credit.total, credit.delta, credit.host) == (HOME_REF, 90, 90, HOST)
    (decided,) = of_kind(sends, ServiceDecided)
    assert (decided.volunteer_ref, decided.state, decided.minutes) == (HOST_REF, "confirmed", 90)
    assert states_told(sends) == ["sent"]
    (report,) = of_kind(world.accept(1), CreditReported)
    assert (report.state, report.volunteer_ref, report.total) == ("credited", HOST_REF, 90)
    assert (world.service().posted, world.timers) == (90, {})


def test_a_transfer_that_goes_at_once_is_reported_once_and_queued_only_where_it_waits() -> None:
    """Each was reported as queued first, whatever became of it in the same decision."""
    world = linked()
    assert reported(world.confirm(1, 90)) == [(1, "sent", None)]
    assert reported(world.confirm(2, 60)) == [(2, "queued", None)]
    assert reported(world.confirm(3, 50)) == [(2, "superseded", None), (3, "queued", None)]
    assert [step.what for step in world.rows(Step) if step.what.startswith("transfer_")] == [
        "transfer_sent",
        "transfer_queued",
        "transfer_superseded",
        "transfer_queued",
    ]


def test_a_new_transfer_that_cannot_go_is_reported_once_with_what_is_in_its_way() -> None:
    world = linked()
    world.withdraw(1)
    assert reported(world.confirm(1, 60)) == [(1, "withheld", "consent_withdrawn")]
    assert reported(world.revoke(2)) == [(1, "superseded", None), (2, "credited", "nothing_to_post")]
    world.give(2)
    world.configure(HOME, "paused")
    assert reported(world.confirm(1, 60, "R2")) == [(1, "queued", "registry_paused")]


def test_a_held_version_makes_no_transfer_and_the_confirmed_one_before_it_stands() -> None:
    world = linked()
    booked(world, 60)
    assert credits(world.hold(2, 200)) == []
    assert (world.service().state, world.service().total, world.service().posted) == ("held", 60, 60)
    assert credits(world.confirm(2, 200)) == [140]


def test_a_correction_before_its_original_makes_the_original_history() -> None:
    world = linked()
    assert credits(world.confirm(2, 45)) == [45]
    assert world.confirm(1, 60) == []
    world.accept(2)
    assert (world.service().total, world.service().posted) == (45, 45)


def test_a_lowering_while_the_first_credit_is_under_way_waits_and_then_sends_the_difference() -> None:
    world = linked()
    world.confirm(1, 120)
    assert credits(world.confirm(2, 90)) == []
    assert world.transfer(2).state == "queued"
    assert credits(world.accept(1)) == [-30]
    world.accept(2)
    assert (world.service().posted, world.transfer(2).state) == (90, "credited")


def test_of_several_waiting_versions_only_the_newest_is_sent() -> None:
    world = linked()
    world.confirm(1, 120)
    world.confirm(2, 90)
    world.confirm(3, 100)
    assert credits(world.accept(1)) == [-20]
    assert [world.transfer(n).state for n in (1, 2, 3)] == ["credited", "superseded", "sent"]


def _nothing_may_be_shared(world: World, why: str) -> None:
    match why:
        case "consent_withdrawn":
            world.withdraw(1)
        case "consent_expired":
            world.now = T0 + 100 * MINUTE
        case "link_broken":
            world.hear(broken(2))


@pytest.mark.parametrize("why", ["consent_withdrawn", "consent_expired", "link_broken"])
@pytest.mark.parametrize("total", [0, 45])
def test_minutes_are_taken_back_whatever_became_of_consent_and_link(why: str, total: int) -> None:
    """Who had bought hours withdrew consent, and the revocation waited for ever (W3)."""
    world = World()
    world.link(until=T0 + 90 * MINUTE)
    booked(world, 60)
    _nothing_may_be_shared(world, why)
    sends = world.confirm(2, total) if total else world.revoke(2)
    [posted] = of_kind(sends, CreditPosted)
    assert (posted.total, posted.delta, posted.record) == (total, total - 60, None), "nothing else is told"
    [again] = of_kind(world.pass_time(6 * MINUTE), CreditPosted)
    assert (again.transfer_id, again.delta, again.record) == (posted.transfer_id, total - 60, None), "it is repeated"
    world.accept(2)
    assert (world.service().total, world.service().posted) == (total, total)


def test_a_raise_after_a_taking_back_waits_for_consent() -> None:
    world = linked()
    booked(world, 60)
    world.withdraw(1)
    world.revoke(2)
    world.accept(2)
    assert credits(world.confirm(3, 50)) == []
    assert (world.transfer(3).state, world.transfer(3).reason) == ("withheld", "consent_withdrawn")
    assert credits(world.revoke(4)) == [], "nothing of it is at home"
    assert (world.transfer(4).state, world.transfer(4).reason) == ("credited", "nothing_to_post")


def test_a_correction_that_takes_nothing_back_waits_for_consent() -> None:
    world = linked()
    booked(world, 60)
    world.withdraw(1)
    assert credits(world.confirm(2, 60)) == []
    assert credits(world.confirm(3, 90)) == []
    assert credits(world.confirm(4, 55)) == [-5]
    assert [world.transfer(number).state for number in (2, 3, 4)] == ["superseded", "superseded", "sent"]


def test_with_consent_a_taking_back_names_its_record() -> None:
    world = linked()
    booked(world, 60)
    [posted] = of_kind(world.revoke(2), CreditPosted)
    assert posted.record is not None
    assert posted.record.revoked


def test_a_record_revoked_before_anything_was_sent_needs_no_message_to_the_home() -> None:
    world = linked()
    world.withdraw(1)
    world.confirm(1, 60)
    sends = world.revoke(2)
    assert (credits(sends), world.transfer(1).state) == ([], "superseded")
    assert (world.transfer(2).state, world.transfer(2).reason) == ("credited", "nothing_to_post")
    assert credits(world.give(2)) == []


def test_a_record_revoked_while_held_makes_no_transfer_and_can_be_restored() -> None:
    world = linked()
    world.hold(1, 60)
    assert states_told(world.revoke(2)) == []
    assert credits(world.confirm(3, 60)) == [60]


def test_a_service_at_home_goes_nowhere_but_the_host_is_told() -> None:
    world = linked()
    sends = world.confirm(1, 60, host=HOME)
    assert (credits(sends), states_told(sends)) == ([], [])
    assert [told.volunteer_ref for told in of_kind(sends, ServiceDecided)] == [HOME_REF]


def test_consent_is_judged_by_the_clock_at_the_moment_of_sending() -> None:
    world = World()
    world.link(until=T0 + 10 * MINUTE)
    world.confirm(1, 60)
    world.confirm(2, 70)
    world.now = T0 + 10 * MINUTE
    sends = world.accept(1)
    assert (credits(sends), world.transfer(2).reason) == ([], "consent_expired")


def test_under_a_broken_link_everything_is_withheld_and_restoring_sends_it() -> None:
    world = linked()
    world.hear(broken(2))
    assert credits(world.confirm(1, 60)) == []
    assert world.transfer(1).reason == "link_broken"
    assert credits(world.give(2)) == []
    assert credits(world.hear(restored(3))) == [60]


def test_a_retry_after_consent_was_withdrawn_is_withheld() -> None:
    world = linked()
    world.confirm(1, 60)
    world.refuse(1, "down", retry=True)
    world.withdraw(1)
    assert credits(world.pass_time(MINUTE)) == []
    assert (world.transfer(1).state, world.transfer(1).reason) == ("withheld", "consent_withdrawn")
    assert credits(world.give(2)) == [60]


def test_consent_withdrawn_twice_or_given_late_changes_nothing() -> None:
    world = linked()
    world.give(3)
    world.withdraw(3)
    world.give(3)
    world.give(2)
    world.confirm(1, 60)
    assert world.transfer(1).state == "withheld"
    world.withdraw(1)
    assert credits(world.give(4)) == [60]


def test_a_record_of_another_person_raises_rather_than_moves_minutes() -> None:
    world = linked()
    world.confirm(1, 60)
    world.link(person=person(9), home_ref="S9", host_ref="G9")
    with pytest.raises(Raised, match=r"ValueError: .*another person"):
        world.hear(confirmed(2, 60).model_copy(update={"person": person(9)}))


def test_every_transfer_told_of_is_one_that_stands() -> None:
    world = linked()
    world.say(HOST, attested())
    booked(world, 60)
    world.confirm(2, 30)
    last = {transfer.id: transfer.state for transfer in world.rows(Transfer)}
    assert set(last.values()) == {"credited", "sent"}
