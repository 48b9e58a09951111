"""On inner topics a registry's message goes by the border's own id, and the border keeps whose id it stands for."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.envelope import Event, decode
from contracts.messages import receipts
from contracts.topics import INNER
from services.bridge.states import RegistryMessage
from tests.support.bridge import World, credits, linked
from tests.support.bridge_messages import HOME, HOME_REF, HOST, offered, requested, signup
from tests.support.naming import own_id

_INNER = {entry.name for entry in INNER}


def said(world: World, *, inner: bool) -> Iterator[Event]:
    """What the border said to the linkage, or to registries."""
    for record in world.linkage.log.records:
        event = decode(record.value, record.headers)
        if event.source == world.member.service.source and (record.topic in _INNER) is inner:
            yield event


def kept(world: World) -> list[RegistryMessage]:
    """The rows, in the order of their making."""
    return world.rows(RegistryMessage)


def test_a_command_names_as_its_cause_and_its_first_cause_the_borders_own_id_and_the_row_leads_back() -> None:
    world = linked()
    world.say(HOST, signup(), id="gz-G1-00017")
    (command,) = said(world, inner=True)
    own = own_id(HOST, "gz-G1-00017")
    assert (command.causation, command.correlation) == (str(own), str(own))
    assert kept(world) == [RegistryMessage(own, HOST, "gz-G1-00017", signup().TYPE)]


def test_a_refusal_of_the_border_names_the_registrys_own_id_and_needs_no_row() -> None:
    world = World()
    world.say(HOME, offered().model_copy(update={"consent": None}), id="sz-S1-00003")
    (refusal,) = said(world, inner=False)
    assert (refusal.causation, refusal.correlation) == ("sz-S1-00003", "sz-S1-00003")
    assert kept(world) == []


def test_what_one_message_leads_to_names_it_to_registries_by_their_id_and_within_by_the_borders() -> None:
    """Consent is there again: the credit that waited goes home, and its transfer is told of within."""
    world = linked()
    world.withdraw(1)
    world.confirm(1, 60)
    before = len(list(said(world, inner=False))), len(list(said(world, inner=True)))
    assert credits(world.give(2)) == [60]
    outer, inner = list(said(world, inner=False))[before[0] :], list(said(world, inner=True))[before[1] :]
    [given] = {event.causation for event in outer}
    [own] = {event.causation for event in inner}
    assert own == str(own_id(HOME, given or ""))


def test_a_timer_names_the_receipt_that_set_it_by_the_borders_own_id() -> None:
    world = linked()
    world.confirm(1, 60)
    refused = receipts.CreditRefused(
        transfer_id=world.transfer().id, volunteer_ref=HOME_REF, reason="closed_today", retry=True
    )
    world.say(HOME, refused, id="sz-S1-00009")
    [(_, row)] = world.member.base.timers.values()  # type: ignore[attr-defined]
    assert b"sz-S1-00009" not in row.headers
    assert str(own_id(HOME, "sz-S1-00009")).encode() in row.headers


def test_a_message_that_is_said_again_keeps_its_one_row() -> None:
    world = World()
    for _ in range(2):
        world.say(HOST, requested(), id="gz-G1-00021")
    assert [(row.registry, row.message_id) for row in kept(world)] == [(HOST, "gz-G1-00021")]
