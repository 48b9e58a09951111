"""What takes consent back always counts, and what gives it counts under a higher version than any before."""

from __future__ import annotations

import pytest

from contracts.messages import Message, identity, volunteers
from contracts.messages.refusals import MessageRefused
from services.bridge.states import ConsentState
from tests.support.bridge import World, credits, linked, of_kind
from tests.support.bridge_messages import HOME, HOME_REF, HOST, PERSON, consent, offered


def standing(world: World) -> tuple[str, int]:
    kept = world.states.get(ConsentState, (HOME, HOME_REF, HOST))
    assert kept is not None
    return kept.state, kept.version


def given(version: int) -> Message:
    return volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent(version))


def test_a_home_that_went_back_to_an_older_database_can_still_withdraw() -> None:
    world = linked()
    world.give(5)
    (command,) = of_kind(world.withdraw(4), identity.RecordConsent)
    assert (command.state, command.version) == ("withdrawn", 4)
    assert standing(world) == ("withdrawn", 5)
    assert credits(world.confirm(1, 60)) == []


@pytest.mark.parametrize("message", [given(4), given(5)], ids=["older", "same"])
def test_a_stale_giving_is_refused_and_its_sender_learns_the_version_that_stands(message: Message) -> None:
    world = linked()
    world.withdraw(5)
    (only,) = world.say(HOME, message)
    assert isinstance(only.message, MessageRefused)
    assert (only.message.reason, only.message.standing_version) == ("stale_consent", 5)
    assert only.message.pointer == "/consent/version"
    assert standing(world) == ("withdrawn", 5)
    world.give(6)
    assert standing(world) == ("given", 6)


def test_an_offer_whose_consent_is_stale_is_refused_while_there_is_no_link() -> None:
    world = World()
    world.withdraw(5)
    (only,) = world.say(HOME, offered(given=consent(5)))
    assert isinstance(only.message, MessageRefused)
    assert (only.message.reason, only.message.standing_version) == ("stale_consent", 5)


@pytest.mark.parametrize("version", [1, 4, 9])
def test_the_consent_of_an_offer_is_not_looked_at_once_there_is_a_link(version: int) -> None:
    """It is a fresh code for the account that she has; what she took back stays taken back."""
    world = linked()
    world.withdraw(5)
    (offer,) = of_kind(world.say(HOME, offered(given=consent(version))), identity.OfferLink)
    assert offer.consent is None
    assert standing(world) == ("withdrawn", 5)


def test_a_refusal_of_identity_carries_the_version_that_stands() -> None:
    world = linked()
    sent = world.say(HOME, given(2), id="c-1")
    (command,) = of_kind(sent, identity.RecordConsent)
    head = {name: getattr(command, name) for name in ("home", "home_ref", "host", "origin")}
    fact = identity.CommandRefused(**head, person=PERSON, reason="stale_consent", standing_version=9)
    (refused,) = of_kind(world.hear(fact), MessageRefused)
    assert (refused.message_id, refused.reason, refused.standing_version) == ("c-1", "stale_consent", 9)


def test_an_offer_without_any_consent_is_refused_and_not_left_to_run_out_in_silence() -> None:
    """Seen: it was taken, the host was told no_offer half an hour later, and its home never heard why."""
    world = World()
    bare = offered().model_copy(update={"consent": None})
    assert of_kind(world.say(HOME, bare), identity.OfferLink) == []
    assert world.refused(HOME) == ["consent_missing"]
    world.give(1)
    assert len(of_kind(world.say(HOME, bare), identity.OfferLink)) == 1, "consent may be given by itself before"
