"""A reason that nobody here knows is handed on as it is, and everything goes on: it may be newer than this border."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.messages import deliveries, identity, opportunities, volunteers
from contracts.messages.attendance import ServiceHeld
from contracts.messages.refusals import MessageRefused
from services.bridge.reading.answers import next_to_act
from tests.support.bridge import World, linked, of_kind
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    broken,
    confirmed,
    link_refused,
    origin,
    signup,
    told_of,
)

NEW = "brand_new"


def test_a_record_that_is_held_for_a_new_reason_is_told_and_counts_once_it_is_confirmed() -> None:
    world = linked()
    fact = confirmed(1, 60)
    held = ServiceHeld(**{name: getattr(fact, name) for name in type(fact).model_fields}, reason=NEW)
    (told,) = of_kind(world.hear(held), deliveries.ServiceDecided)
    assert (told.state, told.reason, world.service().reason) == ("held", NEW, NEW)
    assert next_to_act(world.service(), None) == "host"
    world.confirm(2, 60)
    assert world.transfer(2).state == "sent"


@pytest.mark.parametrize(
    ("kind", "state"), [(opportunities.SignupRefused, "refused"), (opportunities.SignupWithdrawn, "withdrawn")]
)
def test_a_sign_up_that_ends_for_a_new_reason_is_told(kind: Any, state: str) -> None:
    told = of_kind(linked().hear(told_of(kind, reason=NEW)), deliveries.SignupChanged)
    assert {(one.state, one.reason) for one in told} == {(state, NEW)}


def test_a_link_that_is_refused_or_broken_for_a_new_reason_is_told() -> None:
    world = World()
    (refused,) = of_kind(world.hear(link_refused(NEW, origin())), deliveries.LinkChanged)
    assert (refused.state, refused.reason) == ("refused", NEW)
    world.link()
    told = of_kind(world.hear(broken(2).model_copy(update={"reason": NEW})), deliveries.LinkChanged)
    assert [(one.state, one.reason) for one in told] == [("broken", NEW)] * 2


def test_a_registrys_own_word_for_a_break_goes_to_identity_as_it_is() -> None:
    said = volunteers.LinkBroken(volunteer_ref=HOME_REF, registry=HOST, reason="moved_abroad")
    (command,) = of_kind(linked().say(HOME, said), identity.BreakLink)
    assert command.reason == "moved_abroad"


def test_a_command_that_is_refused_for_a_new_reason_is_refused_to_its_sender() -> None:
    world = linked()
    world.say(HOST, signup(), id="n-1")
    refused = opportunities.CommandRefused(host=HOST, project_ref="P1", reason=NEW, origin=origin(HOST, "n-1"))
    assert [one.reason for one in of_kind(world.hear(refused), MessageRefused)] == [NEW]


def test_a_home_that_refuses_for_a_reason_of_its_own_is_believed_and_somebody_is_named() -> None:
    world = linked()
    world.confirm(1, 60)
    world.refuse(1, NEW)
    assert (world.transfer().state, world.transfer().reason) == ("refused", NEW)
    assert next_to_act(world.service(), world.transfer()) == "home"
