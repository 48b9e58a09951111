"""The way back: a fresh code for the account that a linked person has at the host."""

from __future__ import annotations

import pytest

from contracts.messages.identity import ConsentChanged, LinkEstablished, LinkRefused
from services.identity.states import Role
from tests.support.identity import MINUTE, T0, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_fresh_code_of_a_linked_pair_is_answered_with_the_account_that_she_has(world: World) -> None:
    first = world.linked()
    assert world.take(world.offer("new", version=None), at=T0 + MINUTE) == []
    asked = world.request("new", "G2")
    fact = world.one(LinkEstablished, asked, at=T0 + MINUTE)
    assert (fact.host_ref, fact.link_version, fact.person) == ("G1", first.link_version, first.person)
    assert fact.consent == first.consent
    assert fact.origin == asked.origin
    assert ("gz", "G2") not in [(row.registry, row.ref) for row in world.rows(Role)]


def test_a_fresh_code_of_a_linked_pair_is_spent_by_its_first_use(world: World) -> None:
    world.linked()
    world.take(world.offer("new", version=None), at=T0 + MINUTE)
    world.take(world.request("new", "G2"), at=T0 + MINUTE)
    assert world.one(LinkRefused, world.request("new", "G3"), at=T0 + MINUTE).reason == "code_used"
    assert world.take(world.request("code", "G4"), at=T0 + MINUTE) == []
    (late,) = world.pass_time(5 * MINUTE)
    assert isinstance(late, LinkRefused)
    assert late.reason == "wrong_code"


def test_a_fresh_code_that_overtakes_its_offer_is_answered_by_it(world: World) -> None:
    world.linked()
    assert world.take(world.request("new", "G2"), at=T0 + MINUTE) == []
    fact = world.one(LinkEstablished, world.offer("new", version=None), at=T0 + MINUTE)
    assert (fact.host_ref, fact.link_version) == ("G1", 1)


def test_a_fresh_code_is_no_key_to_somebody_elses_account(world: World) -> None:
    world.linked()
    world.take(world.offer("hers", home_ref="S2"))
    world.take(world.request("hers", "G2", home_ref="S2"))
    world.take(world.offer("new", version=None), at=T0 + MINUTE)
    assert world.one(LinkRefused, world.request("new", "G2"), at=T0 + MINUTE).reason == "already_linked"


@pytest.mark.parametrize("minutes", [10, 11])
def test_a_fresh_code_that_ran_out_opens_nothing(world: World, minutes: int) -> None:
    world.linked()
    world.take(world.offer("new", version=None), at=T0 + MINUTE)
    assert world.one(LinkRefused, world.request("new", "G2"), at=T0 + minutes * MINUTE).reason == "expired"


def test_a_fresh_code_never_touches_consent(world: World) -> None:
    """A second pass gave it again."""
    world.linked()
    world.take(world.withdraw(1))
    assert world.take(world.offer("new", version=None), at=T0 + MINUTE) == []
    assert world.take(world.request("new", "G2"), at=T0 + MINUTE) == []
    told, fact = world.take(world.give(2), at=T0 + 2 * MINUTE)
    assert isinstance(told, ConsentChanged)
    assert isinstance(fact, LinkEstablished)
    assert (fact.host_ref, fact.consent.version) == ("G1", 2)


def test_the_linked_account_may_come_again_with_the_code_of_a_newer_offer(world: World) -> None:
    world.linked()
    assert world.take(world.offer("new", version=None), at=T0 + MINUTE) == []
    assert world.one(LinkEstablished, world.request("new"), at=T0 + MINUTE).link_version == 1
    assert world.one(LinkRefused, world.request("new", "G2"), at=T0 + MINUTE).reason == "code_used"
