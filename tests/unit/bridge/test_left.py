"""A registry whose file is gone from the folder has left: what is open stands, and goes on once the file is back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.messages import Message, bridge, identity, opportunities, signups, volunteers
from contracts.messages.deliveries import CreditReported
from contracts.registry import Capability
from contracts.topics import REFUSALS, registry_source
from services.chassis.decisions import Send
from tests.support.bridge import World, credits, linked, of_kind
from tests.support.bridge_messages import HOME, HOME_REF, HOST, inbound, offered, requested, signup

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("capability", ["idempotent", "queryable", "neither"])
def test_what_was_sent_to_a_home_that_left_stands_and_goes_on_when_it_is_back(capability: Capability) -> None:
    world = linked(capability)
    world.confirm(1, 60)
    gone = world.remove(HOME)
    for _ in range(3):
        assert world.pass_time(HOUR) == []
    assert (world.transfer().state, world.transfer().reason) == ("sent", None)
    world.put_back(gone)
    world.accept(1)
    assert (world.transfer().state, world.service().posted, world.timers) == ("credited", 60, {})


def test_what_is_confirmed_while_the_home_is_gone_is_sent_when_it_is_back() -> None:
    world = linked()
    gone = world.remove(HOME)
    assert credits(world.confirm(1, 60)) == []
    assert (world.transfer().state, world.transfer().reason) == ("queued", "registry_left")
    assert credits(world.pass_time(HOUR)) == []
    world.put_back(gone)
    assert credits(world.pass_time(HOUR)) == [60]


def test_what_is_withheld_for_a_home_that_left_stands_when_its_link_is_restored() -> None:
    world = linked()
    world.withdraw(1)
    world.confirm(1, 60)
    world.remove(HOME)
    world.link(2)
    assert (world.transfer().state, world.transfer().reason) == ("withheld", "consent_withdrawn")


def test_consent_for_a_host_that_left_can_be_withdrawn_and_the_link_broken() -> None:
    world = linked()
    world.remove(HOST)
    assert len(of_kind(world.withdraw(1), identity.RecordConsent)) == 1
    broken = volunteers.LinkBroken(volunteer_ref=HOME_REF, registry=HOST, reason="abuse")
    assert len(of_kind(world.say(HOME, broken), identity.BreakLink)) == 1
    withdrawn = signup(signups.SignupWithdrawn, ref=HOME_REF)
    assert len(of_kind(world.say(HOME, withdrawn), opportunities.WithdrawSignup)) == 1
    assert world.refused(HOME) == []


def test_nothing_begins_with_a_host_that_left_nor_with_one_that_never_was() -> None:
    world = linked()
    world.remove(HOST)
    world.say(HOME, offered())
    world.give(2)
    never = volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry="zz", version=1)
    world.say(HOME, never)
    assert world.refused(HOME) == ["unknown_registry"] * 3


def test_nothing_of_a_registry_that_left_is_read_until_it_is_back() -> None:
    world = linked()
    gone = world.remove(HOME)
    assert world.withdraw(1) == []
    world.put_back(gone)
    assert len(of_kind(world.pass_time(timedelta(0)), identity.RecordConsent)) == 1


def decided(world: World, code: str, message: Message) -> tuple[Send, ...]:
    """What the rule sends for a message of a registry whose topics are not read any more."""
    return world.member.service.decide(world.states, inbound(registry_source(code), message), world.now).sends


def test_what_a_registry_that_left_had_said_before_is_refused_and_what_it_took_back_is_taken() -> None:
    world = linked()
    world.remove(HOME)
    (refused,) = decided(world, HOME, offered())
    assert (refused.topic.name, refused.message.reason) == (REFUSALS.of(HOME).name, "registry_left")  # type: ignore[attr-defined]
    withdrawn = volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=1)
    assert [type(send.message) for send in decided(world, HOME, withdrawn)].count(identity.RecordConsent) == 1


def test_a_request_at_a_registry_that_left_is_refused() -> None:
    world = World()
    world.remove(HOST)
    (refused,) = decided(world, HOST, requested())
    assert (refused.topic.name, refused.message.reason) == (REFUSALS.of(HOST).name, "registry_left")  # type: ignore[attr-defined]


def settle(world: World, outcome: str) -> list[CreditReported]:
    transfer = world.transfer()
    order = bridge.SettleTransfer.model_validate(
        {"host": HOST, "record_ref": "R1", "transfer_id": transfer.id, "outcome": outcome}
    )
    return of_kind(world.hear(order), CreditReported)


@pytest.mark.parametrize(("outcome", "posted"), [("credited", 60), ("refused", 0)])
def test_an_operator_settles_what_nobody_is_sure_of_and_the_host_is_told(outcome: str, posted: int) -> None:
    world = linked("neither")
    world.confirm(1, 60)
    world.pass_time(timedelta(seconds=30))
    assert world.transfer().state == "uncertain"
    (told,) = settle(world, outcome)
    assert (told.state, told.reason, world.service().posted) == (outcome, "settled_by_operator", posted)
    assert settle(world, "credited") == [], "it is settled"


@pytest.mark.parametrize(("outcome", "wanted"), [("credited", 10), ("refused", 70)])
def test_a_later_version_goes_on_from_what_the_operator_said(outcome: str, wanted: int) -> None:
    world = linked("neither")
    world.confirm(1, 60)
    world.pass_time(timedelta(seconds=30))
    assert credits(world.confirm(2, 70)) == []
    transfer = world.transfer()
    order = bridge.SettleTransfer.model_validate(
        {"host": HOST, "record_ref": "R1", "transfer_id": transfer.id, "outcome": outcome}
    )
    assert credits(world.hear(order)) == [wanted]


def test_a_receipt_that_comes_after_an_operators_word_is_a_conflict() -> None:
    world = linked("neither")
    world.confirm(1, 60)
    world.pass_time(timedelta(seconds=30))
    settle(world, "refused")
    world.accept(1)
    assert (world.refused(HOME), world.service().posted) == (["receipt_conflict"], 0)


def test_what_the_linkage_goes_on_with_by_itself_is_not_settled_by_hand() -> None:
    world = linked()
    world.confirm(1, 60)
    assert settle(world, "credited") == []
    assert world.transfer().state == "sent"


def test_what_stands_for_a_home_that_left_can_be_settled_in_any_state() -> None:
    world = linked()
    world.confirm(1, 60)
    world.remove(HOME)
    (told,) = settle(world, "credited")
    assert (told.state, world.timers) == ("credited", {})


def test_what_was_never_sent_to_a_home_that_left_cannot_be_credited() -> None:
    world = linked()
    world.remove(HOME)
    world.confirm(1, 60)
    assert settle(world, "credited") == []
    (told,) = settle(world, "refused")
    assert (told.state, world.timers) == ("refused", {})
