"""A subject is parked while its head waits: nothing that could bring what the head waits for may share it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest

from contracts.messages import Message, attendance, bridge, identity, opportunities, receipts, service, shifts, signups
from contracts.messages import volunteers as said
from contracts.messages.shifts import Category, Place
from contracts.topics import registry_source, service_source
from services.bridge.border.names import account_name
from services.bridge.crossings import FROM_REGISTRIES, FROM_WITHIN, REACTIONS
from services.chassis.decisions import Decision, Inbound
from tests.support.bridge import World
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    PERSON,
    T0,
    THIRD,
    _fact,
    attested,
    broken,
    checked_in,
    confirmed,
    consent,
    established,
    inbound,
    offered,
    origin,
    record,
    reported,
    requested,
    restored,
    reviewed,
    signup,
    told_of,
)
from tests.support.reacting import first_names

RECEIPT: dict[str, Any] = {"transfer_id": PERSON}
OF_PERSON: dict[str, Any] = {"person": PERSON, "home": HOME, "home_ref": HOME_REF, "host": HOST}
BRINGS_A_LINK = (identity.OfferLink, identity.RequestLink, identity.RecordConsent)
"""Commands after which identity may say that a link is there, or that it will not be."""


def of_registry(ref: str, other: str) -> Iterator[Message]:
    """One of each message that a registry says, of this volunteer and about this other registry."""
    yield offered(other).model_copy(update={"volunteer_ref": ref})
    yield requested().model_copy(update={"volunteer_ref": ref, "home": other})
    yield said.ConsentGiven(volunteer_ref=ref, registry=other, consent=consent())
    yield said.ConsentWithdrawn(volunteer_ref=ref, registry=other, version=1)
    yield said.LinkBroken(volunteer_ref=ref, registry=other, reason="abuse")
    yield said.LinkRestored(volunteer_ref=ref, registry=other)
    yield shifts.ProjectPublished(project_ref="P1", version=1, title="t", category=Category.ECOLOGY, organiser_ref="O1")
    yield shifts.ShiftPublished(
        project_ref="P1",
        shift_ref="H1",
        version=1,
        starts_at=T0,
        ends_at=T0 + MINUTE,
        signup_opens_at=T0 - MINUTE,
        signup_closes_at=T0,
        posts=1,
        place=Place(division_code="440104", text="p"),
    )
    yield checked_in(T0).model_copy(update={"volunteer_ref": ref})
    yield service.CheckedOut(volunteer_ref=ref, project_ref="P1", shift_ref="H1", at=T0, method="scan")
    yield attested(ref=ref)
    yield reviewed(ref=ref)
    yield receipts.CreditAccepted(**RECEIPT, volunteer_ref=ref, delta=1, posted_at=T0)
    yield receipts.CreditRefused(**RECEIPT, volunteer_ref=ref, reason="cap")
    yield receipts.CreditUnknown(**RECEIPT, volunteer_ref=ref)


def signups_of(code: str, ref: str, host: str) -> Iterator[Message]:
    """One of each message about sign-ups."""
    yield signup(ref=ref, host=host)
    yield signup(signups.SignupWithdrawn, ref=ref, host=host)
    yield reported(ref, code)


def from_within() -> Iterator[Message]:
    """One of each message that inner services, and timers, send to the border."""
    yield established()
    yield identity.LinkRefused(**OF_PERSON, host_ref=HOST_REF, reason="no_offer", origin=origin())
    yield broken(2)
    yield restored(2)
    yield identity.ConsentChanged(**OF_PERSON, state="withdrawn", version=1)
    yield identity.CommandRefused(**OF_PERSON, reason="not_broken", origin=origin())
    for kind in (
        opportunities.SignupConfirmed,
        opportunities.SignupWaitlisted,
        opportunities.SignupPromoted,
        opportunities.SignupNoted,
    ):
        yield told_of(kind)
    yield told_of(opportunities.SignupRefused, reason="full")
    yield told_of(opportunities.SignupWithdrawn, reason="asked")
    yield opportunities.CommandRefused(host=HOST, project_ref="P1", reason="window_fixed", origin=origin())
    yield confirmed(1, 60)
    yield attendance.ServiceHeld(**_fact(record(), HOST), minutes=60, reason="overlap")
    yield attendance.ServiceRevoked(**_fact(record(), HOST), minutes=0)
    yield attendance.CommandRefused(person=PERSON, host=HOST, signup_id=PERSON, reason="old", origin=origin())
    yield bridge.CheckReceipt(host=HOST, record_ref="R1", transfer_id=PERSON, attempt=1)
    yield bridge.RetryTransfer(host=HOST, record_ref="R1", transfer_id=PERSON, attempt=1)
    yield bridge.SettleTransfer(host=HOST, record_ref="R1", transfer_id=PERSON, outcome="refused")


def subject(message: Inbound) -> str:
    return REACTIONS[type(message.data)].subject(message)


def everything() -> list[Inbound]:
    """All that can be said of S1 and G1, by her home and by her host, about each other and about a third registry."""
    found = [inbound(service_source(message.TYPE.split(".")[1]), message) for message in from_within()]
    for (code, ref), other in product(((HOST, HOST_REF), (HOME, HOME_REF)), (HOST, HOME, THIRD)):
        if other != code:
            found += [inbound(registry_source(code), message) for message in of_registry(ref, other)]
        found += [inbound(registry_source(code), message) for message in signups_of(code, ref, other)]
    return found


@cache
def worlds() -> tuple[World, World]:
    """Nobody is linked; she is, but to another host. Nothing that is decided here is applied."""
    other = World()
    other.hear(established(host=THIRD, host_ref="F1"))
    return World(), other


ALL = everything()
NAMES = [f"{message.event.source.rpartition(':')[2]}-{type(message.data).__name__}" for message in ALL]


def decide(world: World, message: Inbound) -> Decision | None:
    try:
        return world.member.service.decide(world.states, message, world.now)
    except LookupError:
        return None  # an inner fact about a link that never was


def facts_brought(message: Inbound) -> set[str]:
    """What can be known once this message is decided, here or after identity's word on it."""
    found: set[str] = set()
    for world in worlds():
        decision = decide(world, message)
        if decision is None:
            continue
        found.update(decision.facts)
        for send in decision.sends:
            if isinstance(send.message, BRINGS_A_LINK):
                command = send.message
                found.add(account_name(command.home, command.home_ref))
                # An offer or a consent names no ref at the host: it may answer a request of any.
                ref = command.host_ref if isinstance(command, identity.RequestLink) else HOST_REF
                found.add(account_name(command.host, ref))
    return found


def facts_awaited(message: Inbound) -> set[str]:
    decisions = (decide(world, message) for world in worlds())
    waits = (decision.wait for decision in decisions if decision is not None)
    return {wait.fact for wait in waits if wait is not None and wait.fact is not None}


def test_every_message_that_can_come_is_tried_here() -> None:
    assert {type(message.data) for message in ALL} == {*FROM_REGISTRIES, *FROM_WITHIN}


def test_messages_of_all_families_wait_and_of_all_bring_a_fact() -> None:
    """Else the test below would try nothing."""
    waiting = {type(message.data).__name__ for message in ALL if facts_awaited(message)}
    assert waiting >= {"SignupRequested", "SignupReported", "ServiceAttested", "LinkBroken", "LinkRestored"}
    assert waiting >= {"ServiceConfirmed", "SignupConfirmed", "SignupNoted"}
    bringing = {type(message.data).__name__ for message in ALL if facts_brought(message)}
    assert bringing == {"LinkOffered", "LinkRequested", "ConsentGiven", "ConsentWithdrawn"} | {
        "LinkEstablished",
        "LinkRefused",
    }


@pytest.mark.parametrize("waiting", [m for m in ALL if facts_awaited(m)], ids=lambda m: type(m.data).__name__)
def test_no_message_that_waits_has_the_subject_of_one_that_brings_what_it_waits_for(waiting: Inbound) -> None:
    awaited = facts_awaited(waiting)
    assert subject(waiting) not in awaited, "the subject is locked and parked under the fact's own name"
    for bringing in ALL:
        if awaited & facts_brought(bringing):
            assert subject(bringing) != subject(waiting), type(bringing.data).__name__


@pytest.mark.parametrize("message", ALL, ids=NAMES)
def test_what_is_locked_first_sorts_before_the_persons_that_are_locked_second(message: Inbound) -> None:
    assert max(first_names(REACTIONS[type(message.data)], message)) < "person:"
