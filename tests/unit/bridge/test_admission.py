"""What the border turns away before it decides anything, and what it answers to what it cannot read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.envelope import ContractError
from contracts.messages import Message, attendance, identity, opportunities, signups, volunteers
from contracts.messages.base import Consent
from contracts.messages.refusals import MessageRefused
from contracts.topics import IDENTITY_EVENTS, INBOUND
from deploy.operate.registries import CONFIGURED
from services.bridge.border.admission import refusal_of_undecodable
from services.bridge.service import build
from services.bridge.settings import BridgeSettings
from services.chassis.service import Undecodable
from tests.support.bridge import World, of_kind
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    T0,
    attested,
    checked_in,
    offered,
    signup,
)

DOCUMENT_NUMBER = "440106200401018821"


def test_a_closed_registry_begins_nothing() -> None:
    world = World(states={HOME: "closed"})
    sends = world.say(HOME, offered())
    (refused,) = of_kind(sends, MessageRefused)
    assert (len(sends), refused.reason, refused.refused_key) == (1, "registry_closed", HOME_REF)


@pytest.mark.parametrize("message", [offered(), signup(ref=HOME_REF)])
def test_nothing_begins_towards_a_closed_registry(message: Message) -> None:
    world = World(states={HOST: "closed"})
    world.say(HOME, message)
    assert world.refused(HOME) == ["registry_closed"]


def test_consent_can_be_withdrawn_from_a_closed_registry() -> None:
    world = World(states={HOST: "closed"})
    world.withdraw(1)
    assert world.refused(HOME) == []


def closed_after(code: str) -> World:
    """S1 and G1 are one, a record of 60 minutes is on its way home, and then this registry was closed."""
    world = World()
    world.link()
    world.confirm(1, 60)
    world.configure(code, "closed")
    return world


@pytest.mark.parametrize(
    ("code", "message", "command"),
    [
        (HOME, volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=1), identity.RecordConsent),
        (HOME, volunteers.LinkBroken(volunteer_ref=HOME_REF, registry=HOST, reason="abuse"), identity.BreakLink),
        (HOST, volunteers.LinkBroken(volunteer_ref=HOST_REF, registry=HOME, reason="abuse"), identity.BreakLink),
        (HOST, signup(signups.SignupWithdrawn), opportunities.WithdrawSignup),
        (HOST, attested(2, 30), attendance.AttestService),
        (HOST, attested(2).model_copy(update={"revoked": True}), attendance.AttestService),
        (
            HOME,
            signup(
                signups.SignupReported, ref=HOME_REF, host=HOME, starts_at=T0, ends_at=T0 + MINUTE, state="withdrawn"
            ),
            opportunities.ReportSignup,
        ),
    ],
    ids=lambda it: getattr(it, "TYPE", None) or getattr(it, "__name__", it),
)
def test_what_a_closed_registry_takes_back_is_taken(code: str, message: Message, command: type[Message]) -> None:
    world = closed_after(code)
    assert len(of_kind(world.say(code, message), command)) == 1
    assert world.refused(code) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (HOME, volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=Consent(version=2, given_at=T0))),
        (HOME, volunteers.LinkRestored(volunteer_ref=HOME_REF, registry=HOST)),
        (HOST, signup()),
        (HOST, checked_in(T0)),
        (HOST, attested(2, 90)),
    ],
    ids=lambda it: getattr(it, "TYPE", it),
)
def test_what_a_closed_registry_adds_is_refused(code: str, message: Message) -> None:
    world = closed_after(code)
    world.say(code, message)
    assert world.refused(code) == ["registry_closed"]


def test_what_a_closed_home_answers_about_a_credit_that_was_sent_counts() -> None:
    world = closed_after(HOME)
    world.accept(1)
    assert (world.refused(HOME), world.service().posted) == ([], 60)


_DAY = timedelta(hours=24)
_SECOND = timedelta(seconds=1)
_ARRIVED = T0 + timedelta(microseconds=999)
"""When what came at T0 counts as come: the log tells whole milliseconds, and its word is taken for the last moment."""


def _asked(world: World) -> list[datetime | None]:
    """The times of the sign-ups that were handed on."""
    return [send.time for send in world.sent if isinstance(send.message, opportunities.RequestSignup)]


def test_a_clock_may_be_five_minutes_ahead_and_gains_nothing_by_it() -> None:
    world = World()
    world.link()
    world.say(HOST, signup(), at=T0 + 5 * MINUTE)
    assert world.refused(HOST) == []
    assert _asked(world) == [_ARRIVED]


def test_what_is_further_ahead_waits_until_it_is_no_more_than_that_and_what_is_a_day_ahead_is_refused() -> None:
    world = World()
    world.link()
    world.say(HOST, signup(), at=T0 + _DAY)
    world.say(HOST, signup(signups.SignupWithdrawn), at=T0)
    assert (_asked(world), world.refused(HOST)) == ([], [])
    world.pass_time(_DAY - 5 * MINUTE - _SECOND)
    assert _asked(world) == []
    world.pass_time(_SECOND)
    assert _asked(world) == [_ARRIVED], "judged at its arrival, whenever it is decided"
    assert isinstance(world.sent[-1].message, opportunities.WithdrawSignup), "what came behind it follows it"
    world.say(HOST, signup(), at=world.now + _DAY + _SECOND)
    assert world.refused(HOST) == ["time_in_future"]


def test_a_time_in_the_past_is_judged_as_it_is() -> None:
    world = World()
    world.link()
    world.say(HOST, signup(), at=T0 - _DAY)
    assert _asked(world) == [T0 - _DAY]


def _served_until(at: datetime) -> Message:
    return attested().model_copy(update={"started_at": at - 20 * MINUTE, "ended_at": at})


@pytest.mark.parametrize(
    ("code", "message", "pointer"),
    [
        (HOME, lambda at: offered(given=Consent(version=1, given_at=at)), "/consent/given_at"),
        (HOST, checked_in, "/at"),
        (HOST, _served_until, "/ended_at"),
    ],
)
def test_what_is_said_to_have_happened_cannot_lie_ahead(
    code: str, message: Callable[[datetime], Message], pointer: str
) -> None:
    world = World()
    world.link()
    assert world.say(code, message(T0 + 6 * MINUTE)) == []
    assert world.pass_time(MINUTE), "decided, since it is no more than five minutes ahead now"
    assert world.refused(code) == []
    (refused,) = of_kind(world.say(code, message(world.now + _DAY + _SECOND)), MessageRefused)
    assert (refused.reason, refused.pointer) == ("time_in_future", pointer)


@pytest.mark.parametrize(
    ("message", "reason", "pointer"),
    [
        (offered("zz"), "unknown_registry", "/for_registry"),
        (offered(HOME), "same_registry", "/for_registry"),
        (signup(ref=HOME_REF, host="zz"), "unknown_registry", "/host"),
        (
            signup(signups.SignupReported, ref=HOME_REF, starts_at=T0, ends_at=T0 + MINUTE),
            "not_yours",
            "/host",
        ),
    ],
)
def test_the_other_registry_must_be_there_and_fit(message: Message, reason: str, pointer: str) -> None:
    (refused,) = of_kind(World().say(HOME, message), MessageRefused)
    assert (refused.reason, refused.pointer) == (reason, pointer)


@pytest.mark.parametrize("entry", INBOUND)
def test_what_cannot_be_read_is_answered_to_the_owner_of_the_topic(entry: Any) -> None:
    send = refusal_of_undecodable(entry.of(HOST).name, "t/3/17", ContractError("bytes", "not JSON"))
    assert send is not None
    assert send.topic.name == f"registry.{HOST}.refusals.v1"
    refused = send.message
    assert isinstance(refused, MessageRefused)
    assert (refused.message_id, refused.refused_key, refused.reason) == ("t/3/17", "-", "bytes")


@pytest.mark.parametrize("entry", INBOUND)
@pytest.mark.parametrize("reason", ["wrong_key", "schema", "bytes"])
def test_a_document_number_as_key_is_not_in_the_answer_to_what_could_not_be_read(entry: Any, reason: Any) -> None:
    """``refused(wrong_key)`` came back under the document number, as key and in the body, on another topic."""
    service = build(BridgeSettings(registries=CONFIGURED))
    assert service.refuse is not None
    error = ContractError(reason, "the record's key is not the key of its body")
    (send,) = service.refuse(Undecodable(entry.of(HOST).name, 3, 17, DOCUMENT_NUMBER, error))
    assert DOCUMENT_NUMBER not in send.message.model_dump_json()
    assert send.message.key == "-"


def test_what_was_read_is_refused_under_its_own_key() -> None:
    (refused,) = of_kind(World().say(HOME, offered("zz")), MessageRefused)
    assert refused.key == HOME_REF


def test_a_strangers_bytes_cannot_break_the_answer() -> None:
    error = ContractError("schema", "x\0" * 900, "/a\n" * 400)
    error.id, error.type = "e\r\n1" * 300, "\x1b[31m" * 100
    send = refusal_of_undecodable(f"registry.{HOST}.signups.v1", "place", error)
    assert send is not None
    assert MessageRefused.model_validate_json(send.message.model_dump_json()) == send.message


def test_what_cannot_be_read_on_an_inner_topic_is_answered_to_nobody() -> None:
    assert refusal_of_undecodable(IDENTITY_EVENTS.name, "place", ContractError("bytes", "not JSON")) is None
