"""How old a registry's message may be when it comes: by its kind and its sender's file. Else posts of shifts that are
over, and services of years ago, are there for whoever writes an old time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.messages import Message, opportunities, receipts, service, signups, volunteers
from contracts.messages.refusals import MessageRefused
from contracts.registry import LateBy, Values
from services.bridge.crossings import FROM_REGISTRIES
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
    consent,
    offered,
    reported,
    requested,
    reviewed,
    signup,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
YEAR = 365 * DAY
IN_FORCE = T0 - 60 * DAY
checked_out = service.CheckedOut(volunteer_ref=HOST_REF, project_ref="P1", shift_ref="H1", at=T0, method="scan")
restored = volunteers.LinkRestored(volunteer_ref=HOME_REF, registry=HOST)
given = volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent(2))
LIMITED: list[tuple[str, Message, timedelta]] = [
    (HOME, offered(), DAY),
    (HOST, requested(), DAY),
    (HOME, given, DAY),
    (HOME, restored, DAY),
    (HOST, signup(), DAY),
    (HOME, signup(ref=HOME_REF), DAY),
    (HOME, reported(), DAY),
    (HOST, checked_in(T0), 7 * DAY),
    (HOST, checked_out, 7 * DAY),
    (HOST, attested(), 30 * DAY),
    (HOST, reviewed(), 30 * DAY),
]


def limited(*versions: Values) -> World:
    """S1 and G1 are one. All seats have these versions of their policy; else the values that are shipped."""
    world = World()
    for code in (HOST, HOME):
        world.configure(code, "active", policy=versions or (Values(valid_from=IN_FORCE),))
    world.link()
    return world


def too_late(world: World, code: str) -> list[str | None]:
    """The pointers of what was refused as too late."""
    told = of_kind([send for send in world.sent if f".{code}." in send.topic], MessageRefused)
    return [refused.pointer for refused in told if refused.reason == "time_in_past"]


@pytest.mark.parametrize(("code", "message", "limit"), LIMITED, ids=lambda it: getattr(it, "TYPE", None))
def test_a_message_that_is_older_than_its_kind_may_be_is_refused(code: str, message: Message, limit: timedelta) -> None:
    world = limited()
    world.say(code, message, at=T0 - limit)
    assert too_late(world, code) == []
    world.say(code, message, at=T0 - limit - SECOND)
    assert too_late(world, code) == ["/time"]


@pytest.mark.parametrize(("code", "message", "limit"), LIMITED, ids=lambda it: getattr(it, "TYPE", None))
def test_before_the_first_version_of_a_policy_and_where_it_says_unlimited_a_message_may_have_any_age(
    code: str, message: Message, limit: timedelta
) -> None:
    unlimited = LateBy(links="unlimited", signups="unlimited", presence="unlimited", attestations="unlimited")
    for version in (Values(valid_from=T0 + SECOND), Values(valid_from=IN_FORCE, late_by=unlimited)):
        world = limited(version)
        world.say(code, message, at=T0 - YEAR)
        assert too_late(world, code) == []


def test_a_limit_counts_for_what_comes_from_the_moment_on_that_the_file_says() -> None:
    world = limited(
        Values(valid_from=IN_FORCE, late_by=LateBy(signups="2h")), Values(valid_from=T0, late_by=LateBy(signups="1h"))
    )
    stamped = T0 - 90 * MINUTE
    world.now = T0 - SECOND
    world.say(HOST, signup(), at=stamped)
    assert too_late(world, HOST) == []
    world.now = T0
    world.say(HOST, signup(), at=stamped)
    assert too_late(world, HOST) == ["/time"]


def test_the_limit_is_that_of_the_senders_own_file() -> None:
    world = World()
    world.configure(HOST, "active", policy=(Values(valid_from=IN_FORCE),))
    world.link()
    world.say(HOME, signup(ref=HOME_REF), at=T0 - YEAR)
    world.say(HOST, signup(), at=T0 - YEAR)
    assert (too_late(world, HOME), too_late(world, HOST)) == ([], ["/time"])


@pytest.mark.parametrize("message", [checked_in, lambda at: checked_out.model_copy(update={"at": at})])
def test_presence_of_long_ago_gains_nothing_by_a_message_of_now(message: Any) -> None:
    world = limited()
    world.say(HOST, message(T0 - 7 * DAY))
    assert too_late(world, HOST) == []
    world.say(HOST, message(T0 - 7 * DAY - SECOND))
    assert too_late(world, HOST) == ["/at"]


def test_consent_that_was_given_long_ago_may_be_told_now() -> None:
    world = limited()
    old = consent(2).model_copy(update={"given_at": T0 - YEAR})
    world.say(HOME, given.model_copy(update={"consent": old}))
    world.say(HOME, offered(given=old.model_copy(update={"version": 3})))
    assert world.refused(HOME) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (HOME, volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=1)),
        (HOME, volunteers.LinkBroken(volunteer_ref=HOME_REF, registry=HOST, reason="abuse")),
        (HOST, signup(signups.SignupWithdrawn)),
        (
            HOME,
            signup(
                signups.SignupReported, ref=HOME_REF, host=HOME, starts_at=T0, ends_at=T0 + MINUTE, state="withdrawn"
            ),
        ),
        (HOST, attested(2, 30)),
        (HOST, attested(2).model_copy(update={"revoked": True})),
    ],
    ids=lambda it: getattr(it, "TYPE", None),
)
def test_what_takes_something_back_may_have_any_age(code: str, message: Message) -> None:
    world = limited()
    world.confirm(1, 60)
    already = len(world.sent)
    world.say(code, message, at=T0 - YEAR)
    assert world.refused(code) == []
    assert len(world.sent) > already


def test_a_version_of_a_record_that_adds_minutes_has_a_limit() -> None:
    world = limited()
    world.confirm(1, 60)
    world.say(HOST, attested(2, 61), at=T0 - YEAR)
    assert too_late(world, HOST) == ["/time"]


def test_a_receipt_may_have_any_age() -> None:
    world = limited()
    world.confirm(1, 60)
    transfer = world.transfer(1)
    answer = receipts.CreditAccepted(transfer_id=transfer.id, volunteer_ref=HOME_REF, delta=60, posted_at=T0)
    world.say(HOME, answer, at=T0 - YEAR)
    assert (world.refused(HOME), world.service().posted) == ([], 60)


def test_what_waits_for_a_link_is_not_refused_over_the_wait() -> None:
    world = limited(Values(valid_from=IN_FORCE, late_by=LateBy(links="24h", signups="1h")))
    world.say(HOST, signup(ref="G2"), at=T0 - 60 * MINUTE)
    world.pass_time(30 * SECOND)
    world.link(1, host_ref="G2")
    assert too_late(world, HOST) == []
    assert len(of_kind(world.sent, opportunities.RequestSignup)) == 1


def test_what_a_registry_that_left_has_said_is_refused_for_that() -> None:
    world = limited()
    world.say(HOST, signup(ref="G2"), at=T0 - DAY + MINUTE)
    seat = world.remove(HOST)
    assert world.policy.late_by(HOST, "signups", T0) is None
    world.put_back(seat)
    assert world.policy.late_by(HOST, "signups", T0) == DAY


def test_each_message_of_a_registry_has_a_kind_or_only_lowers() -> None:
    """``late`` of each row, through what the row does: a message of a year ago is refused, or it is on this list."""
    free = {
        volunteers.ConsentWithdrawn,
        volunteers.LinkBroken,
        signups.SignupWithdrawn,
        receipts.CreditAccepted,
        receipts.CreditRefused,
        receipts.CreditUnknown,
    }
    published = {kind for kind in FROM_REGISTRIES if kind.__name__.endswith("Published")}
    assert FROM_REGISTRIES.keys() == {type(message) for _, message, _ in LIMITED} | free | published


@pytest.mark.parametrize(("said", "span"), [("24h", DAY), ("7d", 7 * DAY), ("9999d", 9999 * DAY), ("unlimited", None)])
def test_a_limit_is_hours_or_days_or_the_word_unlimited(said: str, span: timedelta | None) -> None:
    assert LateBy(presence=said).of("presence") == span


def test_a_version_that_names_no_limit_has_the_linkages_own() -> None:
    late_by = Values(valid_from=datetime.fromisoformat("2026-01-01T00:00:00+08:00"), receipt_due_seconds=45).late_by
    found = [late_by.of(kind) for kind in ("links", "signups", "presence", "attestations")]
    assert found == [DAY, DAY, 7 * DAY, 30 * DAY]
