"""Consent orderings; break and restore by either side."""

from __future__ import annotations

from itertools import permutations

import pytest

from contracts.messages import Message
from contracts.messages.base import AgeBand
from contracts.messages.identity import (
    CommandRefused,
    ConsentChanged,
    LinkBroken,
    LinkEstablished,
    LinkRefused,
    LinkRestored,
)
from contracts.topics import IDENTITY_EVENTS
from services.identity.states import Account, ConsentState
from tests.support.identity import MINUTE, T0, World, consent


@pytest.fixture
def world() -> World:
    return World()


def standing(world: World) -> tuple[str, int]:
    [account] = [row for row in world.rows(Account) if (row.home, row.home_ref) == ("sz", "S1")]
    [kept] = [row for row in world.rows(ConsentState) if (row.person, row.host) == (account.person, "gz")]
    return kept.state, kept.version


def test_consent_given_and_withdrawn_is_told_with_its_version(world: World) -> None:
    world.linked()
    gone = world.one(ConsentChanged, world.withdraw(1))
    assert (gone.state, gone.version, gone.consent) == ("withdrawn", 1, None)
    back = world.one(ConsentChanged, world.give(2))
    assert (back.state, back.version, back.consent) == ("given", 2, consent(2))


def test_whatever_the_order_the_highest_version_stands_and_a_withdrawal_outweighs_its_own_consent() -> None:
    for order in permutations(["give 1", "withdraw 1", "give 2", "withdraw 2", "give 3", "withdraw 3"]):
        world = World()
        world.linked()
        for word in order:
            kind, version = word.split()
            world.take(world.give(int(version)) if kind == "give" else world.withdraw(int(version)))
        assert standing(world) == ("withdrawn", 3)


@pytest.mark.parametrize("version", [1, 2])
def test_a_stale_giving_is_refused_with_the_version_that_stands(world: World, version: int) -> None:
    world.linked()
    world.take(world.withdraw(2))
    refused = world.one(CommandRefused, world.give(version))
    assert (refused.reason, refused.standing_version) == ("stale_consent", 2)
    assert standing(world) == ("withdrawn", 2)


def test_a_withdrawal_under_an_older_version_leaves_consent_withdrawn_at_the_highest(world: World) -> None:
    world.linked()
    world.take(world.give(5))
    gone = world.one(ConsentChanged, world.withdraw(4))
    assert (gone.state, gone.version, gone.consent) == ("withdrawn", 5, None)
    assert standing(world) == ("withdrawn", 5)


def test_a_home_that_withdraws_again_under_an_older_version_learns_the_one_that_stands(world: World) -> None:
    world.linked()
    world.take(world.withdraw(5))
    assert world.one(ConsentChanged, world.withdraw(3)).version == 5
    assert standing(world) == ("withdrawn", 5)


def test_a_giving_that_says_what_stands_changes_nothing_and_is_answered(world: World) -> None:
    world.linked()
    assert world.one(ConsentChanged, world.give(1)).state == "given"


def test_consent_given_before_the_link_is_kept_and_goes_with_it(world: World) -> None:
    world.take(world.give(3))
    assert world.one(CommandRefused, world.offer(version=1)).standing_version == 3
    world.take(world.offer(version=3))
    assert world.one(LinkEstablished, world.request()).consent.version == 3


def test_an_offer_whose_consent_was_withdrawn_makes_no_link(world: World) -> None:
    world.take(world.offer())
    world.take(world.withdraw(1))
    assert world.take(world.request()) == []
    (fact,) = world.pass_time(5 * MINUTE)
    assert isinstance(fact, LinkRefused)
    assert fact.reason == "no_offer"


def test_new_consent_lets_a_standing_request_take_the_offer_up(world: World) -> None:
    world.take(world.offer())
    world.take(world.withdraw(1))
    world.take(world.request())
    told, fact = world.take(world.give(2))
    assert isinstance(told, ConsentChanged)
    assert isinstance(fact, LinkEstablished)
    assert fact.consent.version == 2


def test_an_offer_under_a_consent_that_ran_out_makes_no_link(world: World) -> None:
    world.take(world.offer(valid_until=T0 + MINUTE))
    world.pass_time(MINUTE)
    assert world.take(world.request()) == []


def test_while_consent_is_withdrawn_no_fact_says_that_it_stands(world: World) -> None:
    world.linked()
    world.take(world.withdraw(1))
    assert world.one(LinkRefused, world.request()).reason == "already_linked"
    assert world.one(CommandRefused, world.offer("new", version=1), at=T0 + MINUTE).reason == "stale_consent"
    told, fact = world.take(world.offer("new", version=2, age_band=AgeBand.ADULT), at=T0 + MINUTE)
    assert isinstance(told, ConsentChanged)
    assert isinstance(fact, LinkEstablished)
    assert (fact.age_band, fact.link_version, fact.consent.version) == (AgeBand.ADULT, 2, 2)


def test_the_consent_of_a_late_older_offer_counts_by_its_version(world: World) -> None:
    """The border takes it over by its version; left out here, the two would differ for ever."""
    world.linked()
    world.take(world.offer("new", version=1), at=T0 + 2 * MINUTE)
    world.take(world.withdraw(2))
    late = world.offer("late", version=3, age_band=AgeBand.ADULT)
    told = world.one(ConsentChanged, late, at=T0 + MINUTE)
    assert (told.state, told.version) == ("given", 3)
    assert standing(world) == ("given", 3)
    assert world.one(LinkEstablished, world.request("new")).age_band == AgeBand.FROM_16


def test_consent_for_one_host_says_nothing_about_another(world: World) -> None:
    world.linked()
    world.take(world.withdraw(1, host="hz"))
    assert world.one(LinkEstablished, world.request())


def test_consent_given_without_its_text_is_refused(world: World) -> None:
    bare = world.give(2).model_copy(update={"consent": None})
    other = world.give(2).model_copy(update={"consent": consent(1)})
    assert world.one(CommandRefused, bare).reason == "consent_incomplete"
    assert world.one(CommandRefused, other).reason == "consent_incomplete"


@pytest.mark.parametrize("by", ["sz", "gz"])
def test_who_broke_a_link_restores_it_with_the_same_person(world: World, by: str) -> None:
    made = world.linked()
    broken = world.one(LinkBroken, world.break_it(by, "abuse"))
    assert (broken.by, broken.reason, broken.link_version, broken.host_ref) == (by, "abuse", 2, "G1")
    restored = world.one(LinkRestored, world.restore(by))
    assert (restored.by, restored.link_version, restored.person) == (by, 3, made.person)


@pytest.mark.parametrize("by", ["sz", "gz"])
def test_a_break_and_its_restoration_are_told_at_the_time_of_their_messages(world: World, by: str) -> None:
    """Told at identity's clock, a break of last week counted from today."""
    world.linked()
    world.pass_time(60 * MINUTE)
    world.take(world.break_it(by), at=T0 + MINUTE)
    world.take(world.restore(by), at=T0 + 2 * MINUTE)
    told = world.linkage.log.events(IDENTITY_EVENTS.name)[-2:]
    assert [type(event.data) for event in told] == [LinkBroken, LinkRestored]
    assert [event.time for event in told] == [T0 + MINUTE, T0 + 2 * MINUTE]


@pytest.mark.parametrize(("breaker", "other"), [("sz", "gz"), ("gz", "sz"), ("gz", "hz")])
def test_nobody_else_restores_it(world: World, breaker: str, other: str) -> None:
    world.linked()
    world.take(world.break_it(breaker))
    assert world.one(CommandRefused, world.restore(other)).reason == "not_yours_to_restore"
    assert world.one(LinkRestored, world.restore(breaker))


def test_a_link_that_both_broke_holds_again_when_both_restored_it(world: World) -> None:
    world.linked()
    world.take(world.break_it("sz"))
    assert world.one(LinkBroken, world.break_it("gz", "abuse")).link_version == 3
    still = world.one(LinkBroken, world.restore("sz"))
    assert (still.by, still.reason, still.link_version) == ("gz", "abuse", 4)
    assert world.one(CommandRefused, world.restore("sz")).reason == "not_yours_to_restore"
    assert world.one(LinkRestored, world.restore("gz")).link_version == 5


def test_what_cannot_be_broken_or_restored_is_refused_with_a_reason(world: World) -> None:
    command = world.break_it("sz")
    refused = world.one(CommandRefused, command)
    assert (refused.reason, refused.origin) == ("not_linked", command.origin)
    assert world.one(CommandRefused, world.restore("sz")).reason == "not_linked"
    world.linked()
    assert world.one(CommandRefused, world.break_it("hz")).reason == "not_linked"
    assert world.one(CommandRefused, world.restore("sz")).reason == "not_broken"
    world.take(world.break_it("sz"))
    assert world.one(CommandRefused, world.break_it("sz")).reason == "already_broken"


def test_neither_offer_nor_request_takes_up_a_broken_link(world: World) -> None:
    world.linked()
    world.take(world.break_it("gz", "abuse"))
    assert world.take(world.offer("new", age_band=AgeBand.ADULT), at=T0 + MINUTE) == []
    assert world.one(LinkRefused, world.request("new")).reason == "already_linked"
    assert world.one(LinkRefused, world.request("new", "G2")).reason == "already_linked"


def test_a_restored_link_catches_up_with_the_offer_made_meanwhile(world: World) -> None:
    world.linked()
    world.take(world.break_it("sz"))
    world.take(world.offer("new", age_band=AgeBand.ADULT), at=T0 + MINUTE)
    restored, renewed = world.take(world.restore("sz"))
    assert isinstance(restored, LinkRestored)
    assert isinstance(renewed, LinkEstablished)
    assert (restored.link_version, renewed.link_version, renewed.age_band) == (3, 4, AgeBand.ADULT)


def test_consent_changes_while_a_link_rests_and_counts_when_it_holds_again(world: World) -> None:
    world.linked()
    world.take(world.break_it("sz"))
    world.one(ConsentChanged, world.withdraw(1))
    assert [type(fact) for fact in world.take(world.restore("sz"))] == [LinkRestored]


def test_every_change_of_a_link_has_a_version_of_its_own(world: World) -> None:
    facts: list[Message] = [world.linked()]
    for n in range(1, 4):
        facts += world.take(world.break_it("gz"))
        facts += world.take(world.restore("gz"))
        facts += world.take(world.offer(f"code{n}", guardian=n % 2 == 0), at=T0 + n * MINUTE)
    versions = [fact.link_version for fact in facts]  # type: ignore[attr-defined]
    assert versions == list(range(1, 11))
