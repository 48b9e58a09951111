"""Links and consent at the border, and what waits for a link until it is there."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest

from contracts.messages import Message, deliveries, identity, opportunities, volunteers
from contracts.messages.refusals import MessageRefused
from tests.support.bridge import AWAIT_FACTS, Raised, World, credits, linked, of_kind
from tests.support.bridge_messages import (
    CODE,
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    PERSON,
    T0,
    THIRD,
    attested,
    checked_in,
    established,
    link_refused,
    offered,
    origin,
    reported,
    requested,
    signup,
    told_of,
)


def test_an_offer_goes_to_identity_at_its_own_time_with_where_it_came_from() -> None:
    (send,) = World().say(HOME, offered(), at=T0 - MINUTE, id="o-1")
    offer = send.message
    assert isinstance(offer, identity.OfferLink)
    assert (offer.home, offer.home_ref, offer.host, send.time) == (HOME, HOME_REF, HOST, T0 - MINUTE)
    assert offer.origin == origin(HOME, "o-1")


def test_a_request_is_handed_on_with_the_hash_of_its_code_only() -> None:
    (send,) = World().say(HOST, requested())
    assert isinstance(send.message, identity.RequestLink)
    assert send.message.code_hash == sha256(CODE.encode()).hexdigest()
    assert CODE not in send.message.model_dump_json()


def test_an_established_link_is_told_to_both_and_only_the_host_learns_age_and_guardian() -> None:
    world = linked()
    (host,) = world.told(HOST, deliveries.LinkChanged)
    (home,) = world.told(HOME, deliveries.LinkChanged)
    assert (host.volunteer_ref, host.registry, host.state, host.guardian_approved) == (
        HOST_REF,
        HOME,
        "established",
        True,
    )
    assert (home.volunteer_ref, home.registry, home.age_band, home.guardian_approved) == (HOME_REF, HOST, None, None)


def test_a_refused_link_is_told_to_the_host_that_asked_only_as_the_answer_to_its_request() -> None:
    world = World()
    world.say(HOST, requested(), id="q-1")
    (send,) = world.hear(link_refused("wrong_code", origin(HOST, "q-1")))
    assert send.topic == f"registry.{HOST}.deliveries.v1"
    told: deliveries.LinkChanged = send.message  # type: ignore[assignment]
    assert (told.state, told.reason, told.answers) == ("refused", "wrong_code", "q-1")


def test_an_answer_to_a_request_of_which_the_border_has_no_row_is_told_without_what_it_answers() -> None:
    """A request that was put before this version: the linkage has another id for it."""
    world = World()
    world.hear(link_refused("wrong_code", origin(HOST, "q-1")))
    world.hear(established(origin=origin(HOST, "q-2")))
    told = world.told(HOST, deliveries.LinkChanged)
    assert [(one.state, one.answers) for one in told] == [("refused", None), ("established", None)]


@pytest.mark.parametrize(("code", "ref", "other"), [(HOME, HOME_REF, HOST), (HOST, HOST_REF, HOME)])
def test_either_side_can_break_and_restore_and_a_hosts_ref_is_translated(code: str, ref: str, other: str) -> None:
    world = linked()
    (asked,) = world.say(code, volunteers.LinkBroken(volunteer_ref=ref, registry=other, reason="abuse"))
    assert isinstance(asked.message, identity.BreakLink)
    command = asked.message
    assert (command.home, command.home_ref, command.host, command.by) == (HOME, HOME_REF, HOST, code)
    (back,) = world.say(code, volunteers.LinkRestored(volunteer_ref=ref, registry=other))
    assert isinstance(back.message, identity.RestoreLink)


def test_a_break_towards_a_registry_that_is_not_her_home_is_refused() -> None:
    world = linked()
    world.say(HOST, volunteers.LinkBroken(volunteer_ref=HOST_REF, registry=THIRD, reason="abuse"))
    assert world.refused(HOST) == ["not_linked"]


def test_consent_before_the_link_is_kept_and_an_older_word_in_the_link_does_not_undo_it() -> None:
    world = World()
    world.withdraw(1)
    world.link()
    assert credits(world.confirm(1, 60)) == []
    assert world.transfer().reason == "consent_withdrawn"


def test_a_guest_account_cannot_give_or_withdraw_consent() -> None:
    world = linked()
    world.say(HOST, volunteers.ConsentWithdrawn(volunteer_ref=HOST_REF, registry=HOME, version=9))
    assert world.refused(HOST) == ["not_yours"]


def test_an_older_word_of_identity_on_consent_changes_nothing_but_is_told() -> None:
    world = linked()
    world.withdraw(1)
    stale = identity.ConsentChanged(
        person=PERSON, home=HOME, home_ref=HOME_REF, host=HOST, state="given", version=1, consent=None
    )
    world.hear(stale)
    assert [len(world.told(code, deliveries.ConsentChanged)) for code in (HOST, HOME)] == [1, 1]
    assert credits(world.confirm(1, 60)) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (HOST, signup()),
        (HOST, attested()),
        (HOST, checked_in(T0)),
        (HOME, signup(ref=HOME_REF)),
        (HOME, reported()),
        (HOME, volunteers.LinkBroken(volunteer_ref=HOME_REF, registry=HOST, reason="abuse")),
    ],
)
def test_what_overtakes_its_link_waits_and_is_then_applied(code: str, message: Message) -> None:
    world = World()
    assert world.say(code, message) == []
    sends = world.link()
    assert [s for s in sends if s.topic.endswith("commands.v1")]
    assert world.refused(code) == []


def test_a_ref_never_linked_is_refused_when_the_waiting_time_is_up() -> None:
    world = World()
    world.say(HOST, signup(), id="n-1")
    assert world.pass_time(AWAIT_FACTS - timedelta(seconds=1)) == []
    (refused,) = of_kind(world.pass_time(timedelta(seconds=1)), MessageRefused)
    assert (refused.reason, refused.message_id, refused.pointer) == ("not_linked", "n-1", "/volunteer_ref")


def test_behind_a_link_under_way_a_message_waits_longer_and_a_refused_link_ends_that() -> None:
    world = World()
    world.say(HOST, signup(), id="n-1")
    world.say(HOST, requested(), id="q-1")
    assert world.pass_time(AWAIT_FACTS * 4) == []
    refusal = link_refused("no_offer", origin(id="q-1"))
    world.hear(refusal)
    world.pass_time(timedelta(seconds=1))
    assert world.refused(HOST) == ["not_linked"]


def test_a_home_that_signs_up_for_a_second_host_waits_for_that_link() -> None:
    world = linked()
    assert world.say(HOME, signup(ref=HOME_REF, host=THIRD)) == []
    sends = world.hear(established(host=THIRD, host_ref="F1"))
    (command,) = of_kind(sends, opportunities.RequestSignup)
    assert (command.host, command.person) == (THIRD, PERSON)


def test_an_inner_fact_that_overtakes_its_link_waits_and_raises_when_none_comes() -> None:
    world = World()
    assert world.confirm(1, 60) == []
    assert credits(world.link()) == [60]
    alone = World()
    alone.hear(told_of())
    with pytest.raises(Raised, match="LookupError"):
        alone.pass_time(AWAIT_FACTS)
