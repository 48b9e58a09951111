"""Offer and request: every outcome, in either order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.messages.base import AgeBand
from contracts.messages.identity import (
    CommandRefused,
    ConsentChanged,
    ExpireLinkRequest,
    LinkEstablished,
    LinkRefused,
)
from contracts.topics import IDENTITY_COMMANDS
from services.identity.states import Account, Link, Request
from services.identity.store import IdentityStore
from tests.support.identity import MINUTE, T0, World, consent, hash_of
from tests.support.linkage import at_once


@pytest.fixture
def world() -> World:
    return World()


def test_an_offer_and_its_request_make_a_link_with_all_that_the_border_stamps(world: World) -> None:
    assert world.take(world.offer()) == []
    asked = world.request()
    fact = world.one(LinkEstablished, asked)
    [account] = world.rows(Account)
    assert (account.home, account.home_ref) == ("sz", "S1")
    assert fact == LinkEstablished(
        person=account.person,
        home="sz",
        home_ref="S1",
        host="gz",
        host_ref="G1",
        link_version=1,
        age_band=AgeBand.FROM_16,
        guardian_approved=True,
        consent=consent(1),
        origin=asked.origin,
        asked_as="G1",
    )


def test_a_request_that_overtakes_its_offer_stands_and_is_answered_by_it(world: World) -> None:
    assert world.take(world.request()) == []
    fact = world.one(LinkEstablished, world.offer())
    assert (fact.host_ref, fact.link_version) == ("G1", 1)
    assert world.timers == {}
    assert world.pass_time(60 * MINUTE) == []


def test_a_request_without_an_offer_is_refused_when_its_time_is_up(world: World) -> None:
    command = world.request()
    assert world.take(command) == []
    assert world.pass_time(4.9 * MINUTE) == []
    (fact,) = world.pass_time(0.1 * MINUTE)
    assert isinstance(fact, LinkRefused)
    assert (fact.reason, fact.host_ref, fact.origin) == ("no_offer", "G1", command.origin)


def test_an_offer_after_the_deadline_does_not_revive_a_refused_request(world: World) -> None:
    world.take(world.request())
    world.pass_time(5 * MINUTE)
    assert world.take(world.offer()) == []
    assert world.one(LinkEstablished, world.request()).link_version == 1


def test_a_timer_that_comes_after_the_answer_says_nothing(world: World) -> None:
    world.take(world.request())
    world.linkage.clock.moment += 5 * MINUTE
    assert at_once(world.member.fire()) == 1  # it has left, and the offer is read before it
    assert [type(fact) for fact in world.take(world.offer())] == [LinkEstablished]
    assert world.pass_time(timedelta()) == []
    assert [type(event.data) for event in world.linkage.log.events(IDENTITY_COMMANDS.name)][-1] == ExpireLinkRequest
    assert world.member.unread("identity") == []


def test_a_repeated_request_of_the_same_account_gets_the_same_answer(world: World) -> None:
    first = world.linked()
    again = world.one(LinkEstablished, world.request())
    assert again.model_copy(update={"origin": None}) == first.model_copy(update={"origin": None})


def test_requests_repeated_before_the_offer_are_all_answered(world: World) -> None:
    for _ in range(3):
        assert world.take(world.request()) == []
    facts = world.take(world.offer())
    assert [type(fact) for fact in facts] == [LinkEstablished] * 3
    assert len({fact.model_dump_json(exclude={"origin"}) for fact in facts}) == 1
    assert len({fact.model_dump_json(include={"origin"}) for fact in facts}) == 3
    assert world.timers == {}


def test_a_repeated_offer_after_the_link_tells_nothing_and_spends_no_second_account(world: World) -> None:
    world.linked()
    assert world.take(world.offer()) == []
    assert world.one(LinkRefused, world.request(host_ref="G2")).reason == "code_used"


@pytest.mark.parametrize("minutes", [10, 11])
def test_a_request_made_at_or_after_expiry_is_refused(world: World, minutes: int) -> None:
    world.take(world.offer())
    assert world.one(LinkRefused, world.request(), at=T0 + minutes * MINUTE).reason == "expired"


def test_expiry_is_judged_at_the_time_of_the_request_not_of_its_arrival(world: World) -> None:
    world.take(world.offer())
    world.pass_time(600 * MINUTE)
    assert world.one(LinkEstablished, world.request(), at=T0 + 9 * MINUTE)


def test_a_standing_request_made_after_the_expiry_of_a_late_offer_is_refused(world: World) -> None:
    world.take(world.request(), at=T0 + 10 * MINUTE)
    assert world.one(LinkRefused, world.offer()).reason == "expired"


def test_a_wrong_code_is_refused_and_the_offer_stays(world: World) -> None:
    world.take(world.offer())
    assert world.one(LinkRefused, world.request("guess")).reason == "wrong_code"
    assert world.one(LinkEstablished, world.request())


def test_wrong_codes_of_strangers_make_no_offer_void(world: World) -> None:
    """Five did: whoever knew her number could keep her out."""
    world.take(world.offer())
    reasons = [world.one(LinkRefused, world.request(f"guess{n}")).reason for n in range(300)]
    assert reasons == ["wrong_code"] * 300
    assert world.one(LinkEstablished, world.request())


def test_of_a_number_that_no_home_has_offered_nothing_is_kept(world: World) -> None:
    for n in range(300):
        world.take(world.request(f"guess{n}", home_ref=f"nobody{n}"))
    facts = world.pass_time(5 * MINUTE)
    assert [fact.reason for fact in facts if isinstance(fact, LinkRefused)] == ["no_offer"] * 300
    assert [row for table in IdentityStore.tables for row in world.rows(table.row)] == []
    assert world.timers == {}


def test_a_standing_wrong_code_is_refused_when_the_offer_comes_and_does_not_count_against_it(world: World) -> None:
    for n in range(5):
        world.take(world.request(f"guess{n}", f"G{n}"))
    facts = world.take(world.offer())
    assert [fact.reason for fact in facts if isinstance(fact, LinkRefused)] == ["wrong_code"] * 5
    assert world.one(LinkEstablished, world.request())


def test_of_standing_requests_the_one_that_fits_wins_whatever_came_before_it(world: World) -> None:
    world.take(world.request("guess", "G8"))
    world.take(world.request("code", "G1"), at=T0 + MINUTE)
    world.take(world.request("code", "G9"), at=T0 + 2 * MINUTE)
    first, *rest = world.take(world.offer())
    assert isinstance(first, LinkEstablished)
    assert first.host_ref == "G1"
    told = {fact.host_ref: fact.reason for fact in rest if isinstance(fact, LinkRefused)}
    assert told == {"G9": "code_used"}
    (late,) = world.pass_time(5 * MINUTE)
    assert isinstance(late, LinkRefused)
    assert (late.host_ref, late.reason) == ("G8", "wrong_code")


def test_no_more_than_five_requests_stand_for_one_account_at_one_host(world: World) -> None:
    for n in range(5):
        assert world.take(world.request(f"guess{n}")) == []
    assert world.one(LinkRefused, world.request("guess5")).reason == "too_many_attempts"
    assert world.take(world.request("guess", host="hz")) == []


def test_an_offer_for_another_registry_is_told_to_who_has_its_code(world: World) -> None:
    world.take(world.offer(host="hz"))
    assert world.take(world.request()) == []
    (fact,) = world.pass_time(5 * MINUTE)
    assert isinstance(fact, LinkRefused)
    assert fact.reason == "other_registry"


def test_an_offer_for_another_registry_is_not_told_to_who_guesses(world: World) -> None:
    world.take(world.offer(host="hz"))
    world.take(world.request("guess"))
    (fact,) = world.pass_time(5 * MINUTE)
    assert isinstance(fact, LinkRefused)
    assert fact.reason == "no_offer"


def test_one_code_offered_to_two_registries_serves_the_one_that_was_overtaken(world: World) -> None:
    world.take(world.offer(host="hz"))
    world.take(world.request())
    assert world.one(LinkEstablished, world.offer(host="gz")).host == "gz"


def test_a_code_is_used_once(world: World) -> None:
    world.linked()
    assert world.one(LinkRefused, world.request(host_ref="G2")).reason == "code_used"


def test_a_host_account_belongs_to_one_person(world: World) -> None:
    world.linked()
    world.take(world.offer("hers", home_ref="S2"))
    assert world.one(LinkRefused, world.request("hers", "G1", home_ref="S2")).reason == "already_linked"


def test_a_guest_account_cannot_be_offered_as_a_home(world: World) -> None:
    world.linked()
    assert world.one(CommandRefused, world.offer(home="gz", home_ref="G1", host="hz")).reason == "guest_account"


def test_a_home_account_that_was_offered_cannot_become_a_guest(world: World) -> None:
    world.take(world.offer(home="gz", home_ref="G1", host="hz"))
    world.take(world.offer())
    assert world.one(LinkRefused, world.request()).reason == "already_linked"


def test_a_stranger_naming_an_account_as_home_does_not_keep_it_from_becoming_a_guest(world: World) -> None:
    world.take(world.request("guess", "H1", home="gz", home_ref="G1", host="hz"))
    assert world.linked().host_ref == "G1"


def test_nobody_is_offered_to_her_own_registry(world: World) -> None:
    assert world.one(CommandRefused, world.offer(host="sz")).reason == "same_registry"


def test_one_person_links_to_two_hosts_as_one_person(world: World) -> None:
    first = world.linked()
    world.take(world.offer("other", host="hz"))
    second = world.one(LinkEstablished, world.request("other", "H1", host="hz"))
    assert first.person == second.person


def test_the_newest_offer_by_event_time_stands(world: World) -> None:
    world.take(world.offer("new"), at=T0 + 2 * MINUTE)
    assert world.take(world.offer("old"), at=T0 + MINUTE) == []
    assert world.one(LinkRefused, world.request("old")).reason == "wrong_code"
    assert world.one(LinkEstablished, world.request("new"))


def test_a_request_that_overtakes_the_successor_of_an_expired_offer_is_linked(world: World) -> None:
    world.take(world.offer("yesterday", expires_at=T0 + MINUTE))
    assert world.take(world.request("today"), at=T0 + 20 * MINUTE) == []
    offer = world.offer("today", expires_at=T0 + 30 * MINUTE)
    assert world.one(LinkEstablished, offer, at=T0 + 19 * MINUTE)


def test_a_wrong_code_at_an_expired_offer_is_refused_when_its_time_is_up(world: World) -> None:
    world.take(world.offer("yesterday", expires_at=T0 + MINUTE))
    world.take(world.request("guess"), at=T0 + 20 * MINUTE)
    (fact,) = world.pass_time(5 * MINUTE)
    assert isinstance(fact, LinkRefused)
    assert fact.reason == "wrong_code"


def test_a_newer_offer_renews_age_band_and_guardian_of_a_link(world: World) -> None:
    world.linked()
    offer = world.offer("new", age_band=AgeBand.ADULT, guardian=False, version=2)
    told, fact = world.take(offer, at=T0 + MINUTE)
    assert isinstance(told, ConsentChanged)
    assert isinstance(fact, LinkEstablished)
    assert (fact.link_version, fact.age_band, fact.guardian_approved, fact.consent.version) == (
        2,
        AgeBand.ADULT,
        False,
        2,
    )


def test_what_is_kept_of_a_request_that_was_answered_is_the_hash_of_its_code(world: World) -> None:
    world.take(world.request())
    world.take(world.offer())
    [link] = world.rows(Link)
    assert (link.person, link.host) == (world.told[0].person, "gz")  # type: ignore[attr-defined]
    assert link.code_hash == hash_of("code")
    assert world.rows(Request) == []
