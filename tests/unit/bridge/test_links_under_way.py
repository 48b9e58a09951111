"""What waits behind a link under way: at the host and at home, until the last request is answered, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.messages import Message, identity, signups, volunteers
from services.bridge.border.requests import LONGEST
from services.bridge.states import LinkUnderWay
from services.identity.case import MOST_PENDING
from tests.support.bridge import AWAIT_FACTS, World
from tests.support.bridge_and_identity import BorderAndIdentity
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    THIRD,
    attested,
    link_refused,
    origin,
    reported,
    requested,
    signup,
)

SECOND = timedelta(seconds=1)
APPLIED = ["RequestSignup"]


@pytest.fixture
def linkage() -> BorderAndIdentity:
    return BorderAndIdentity()


def test_a_request_repeated_six_times_does_not_end_the_wait_for_the_link(linkage: BorderAndIdentity) -> None:
    """Identity refuses the sixth and keeps five; the border forgot the five with it, and refused her sign-up."""
    linkage.say(HOST, signup(), id="n-1")
    for _ in range(MOST_PENDING + 1):
        linkage.request()
    linkage.settle()
    assert [fact.reason for fact in linkage.told_by_identity(identity.LinkRefused)] == ["too_many_attempts"]
    linkage.pass_time(AWAIT_FACTS + SECOND)
    assert linkage.outcomes("n-1") == []
    linkage.offer()
    linkage.settle()
    assert linkage.outcomes("n-1") == APPLIED


def test_a_second_request_that_names_a_wrong_home_ref_does_not_end_the_wait_for_the_first(
    linkage: BorderAndIdentity,
) -> None:
    linkage.offer("hers", ref="S9")
    linkage.request()
    linkage.request("mistaken", home_ref="S9")
    linkage.say(HOST, signup(), id="n-1")
    linkage.settle()
    assert [fact.reason for fact in linkage.told_by_identity(identity.LinkRefused)] == ["wrong_code"]
    linkage.pass_time(AWAIT_FACTS + SECOND)
    assert linkage.outcomes("n-1") == []
    linkage.offer()
    linkage.settle()
    assert linkage.outcomes("n-1") == APPLIED


@pytest.mark.parametrize("first", ["the request", "the sign-up"])
def test_what_the_home_says_waits_behind_the_hosts_request_too(linkage: BorderAndIdentity, first: str) -> None:
    """She signed up in her home's app; the offer came after more than ``await_facts``; she was refused(not_linked)."""
    if first == "the request":
        linkage.request()
    linkage.say(HOME, signup(ref=HOME_REF), id="n-1")
    linkage.say(HOME, reported(), id="n-2")
    linkage.say(HOME, attested(ref=HOME_REF), id="n-3")
    if first == "the sign-up":
        linkage.request()
    linkage.settle()
    linkage.pass_time(AWAIT_FACTS + SECOND)
    linkage.offer()
    linkage.settle()
    assert linkage.outcomes("n-1") == APPLIED
    assert linkage.outcomes("n-2") == ["ReportSignup"]
    assert linkage.outcomes("n-3") == ["AttestService"]


def test_once_the_last_request_is_refused_both_sides_wait_no_longer(linkage: BorderAndIdentity) -> None:
    for _ in range(2):
        linkage.request()
    linkage.say(HOST, signup(), id="n-1")
    linkage.say(HOME, signup(ref=HOME_REF), id="n-2")
    linkage.settle()
    linkage.pass_time(5 * AWAIT_FACTS)
    assert [linkage.outcomes(id) for id in ("n-1", "n-2")] == [[], []]
    linkage.border_hears()
    assert [linkage.outcomes(id) for id in ("n-1", "n-2")] == [[], []]
    linkage.border_hears()
    assert [linkage.outcomes(id) for id in ("n-1", "n-2")] == [["refused(not_linked)"]] * 2
    assert linkage.set_aside == []


def test_a_signup_for_one_host_does_not_wait_behind_the_request_of_another(linkage: BorderAndIdentity) -> None:
    linkage.say(THIRD, volunteers.LinkRequested(volunteer_ref="F1", home=HOME, home_ref=HOME_REF, code="c" * 43))
    linkage.say(HOME, signup(ref=HOME_REF, host=HOST), id="n-1")
    linkage.say(HOME, signup(ref=HOME_REF, host=THIRD), id="n-2")
    linkage.pass_time(AWAIT_FACTS)
    assert linkage.outcomes("n-1") == ["refused(not_linked)"]
    assert linkage.outcomes("n-2") == []


def test_a_linked_volunteers_signup_for_a_second_host_waits_behind_that_hosts_request(
    linkage: BorderAndIdentity,
) -> None:
    linkage.link()
    linkage.request("other", host=THIRD, ref="F1")
    linkage.say(HOME, signup(ref=HOME_REF, host=THIRD), id="n-1")
    linkage.settle()
    linkage.pass_time(AWAIT_FACTS + SECOND)
    linkage.offer("other", host=THIRD)
    linkage.settle()
    assert linkage.outcomes("n-1") == APPLIED


def test_requests_one_after_the_other_hold_a_message_for_a_day_at_most() -> None:
    """Identity is down, and a host asks every hour for a stranger's account."""
    world = World()
    world.say(HOME, signup(ref=HOME_REF), id="n-1")
    for _ in range(24):
        assert world.refused(HOME) == []
        world.say(HOST, requested())
        world.pass_time(timedelta(hours=1))
    assert world.refused(HOME) == ["not_linked"]


def test_a_request_whose_answer_was_lost_does_not_count_for_ever() -> None:
    world = World()
    world.say(HOST, requested())
    world.pass_time(LONGEST - AWAIT_FACTS / 2)
    world.say(HOST, signup(), id="n-1")
    world.pass_time(AWAIT_FACTS / 2)
    assert world.refused(HOST) == []
    world.pass_time(AWAIT_FACTS / 2)
    assert world.refused(HOST) == ["not_linked"]
    world.say(HOST, signup(), id="n-2")
    world.pass_time(AWAIT_FACTS)
    assert world.refused(HOST) == ["not_linked"] * 2


def test_an_answer_to_a_request_that_was_forgotten_releases_what_waits_and_counts_nothing_below_zero() -> None:
    world = World()
    world.say(HOST, signup(), id="n-1")
    refused = link_refused("no_offer", origin(id="q-0"))
    world.hear(refused)
    world.say(HOST, requested())
    (row,) = world.states.group(LinkUnderWay, "account", (HOST, HOST_REF))
    assert row.requests == 1


def test_a_refusal_that_comes_after_the_link_takes_away_no_request_made_since(linkage: BorderAndIdentity) -> None:
    """With the link all that its refs had asked was forgotten; the refusal about S2 took away the newer request."""
    linkage.offer("hers", ref="S2")
    linkage.offer()
    linkage.request("guess", home_ref="S2")
    linkage.request()
    while linkage.commands:
        linkage.identity_hears()
    assert [type(fact) for fact in linkage.facts] == [identity.LinkRefused, identity.LinkEstablished]
    linkage.border_hears(1)
    assert _under_way(linkage) == {(HOST, HOST_REF): 1, (HOME, "S2"): 1}
    linkage.request()
    linkage.border_hears()
    assert _under_way(linkage) == {(HOST, HOST_REF): 1, (HOME, HOME_REF): 1}
    linkage.settle()
    assert _under_way(linkage) == {}


def _under_way(linkage: BorderAndIdentity) -> dict[tuple[str, str], int]:
    return {row.account: row.requests for row in linkage.at_border(LinkUnderWay)}


@pytest.mark.parametrize(
    "message",
    [
        volunteers.LinkBroken(volunteer_ref=HOST_REF, registry=HOME, reason="wrong_person"),
        volunteers.LinkRestored(volunteer_ref=HOST_REF, registry=HOME),
    ],
    ids=["broken", "restored"],
)
def test_a_break_of_what_is_not_linked_does_not_hold_up_the_request_that_links_it(
    linkage: BorderAndIdentity, message: Message
) -> None:
    """Both had one subject: the request stood behind the break for ``await_facts``, and her sign-up was refused."""
    linkage.say(HOST, message, id="b-1")
    linkage.say(HOST, signup(), id="n-1")
    linkage.request()
    linkage.offer()
    assert [type(command) for command in linkage.commands] == [identity.RequestLink, identity.OfferLink]
    linkage.settle()
    assert linkage.outcomes("b-1")
    assert linkage.outcomes("n-1") == APPLIED


def test_a_break_that_waits_keeps_its_order_with_what_restores_it(linkage: BorderAndIdentity) -> None:
    linkage.say(HOST, volunteers.LinkBroken(volunteer_ref=HOST_REF, registry=HOME, reason="abuse"), id="b-1")
    linkage.say(HOST, volunteers.LinkRestored(volunteer_ref=HOST_REF, registry=HOME), id="b-2")
    linkage.link()
    told = [type(fact) for fact in linkage.told_by_identity(Message)]
    assert told == [identity.LinkEstablished, identity.LinkBroken, identity.LinkRestored]


def test_a_post_given_back_before_the_link_waits_as_the_signup_before_it_does(linkage: BorderAndIdentity) -> None:
    linkage.request()
    linkage.say(HOST, signup(), id="n-1")
    linkage.say(HOST, signup(signups.SignupWithdrawn), id="n-2")
    linkage.settle()
    linkage.pass_time(4 * MINUTE)
    linkage.offer()
    linkage.settle()
    assert (linkage.outcomes("n-1"), linkage.outcomes("n-2")) == (APPLIED, ["WithdrawSignup"])
