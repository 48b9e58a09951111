"""Who waits at the border listens where what it waits for may lie unread, and to no registry that cannot bring it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from contracts.envelope import decode
from contracts.messages import Message, attendance, opportunities, service, signups, volunteers
from contracts.topics import IDENTITY_EVENTS, VOLUNTEERS
from services.bridge.crossings import FROM_REGISTRIES, FROM_WITHIN
from services.chassis.batch.set_aside import Aside
from services.chassis.channels import named
from services.chassis.decisions import Wait
from tests.support.bridge import World
from tests.support.bridge_and_identity import AWAIT_FACTS, BorderAndIdentity, offer, request
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    T0,
    THIRD,
    _fact,
    attested,
    consent,
    offered,
    record,
    reported,
    reviewed,
    signup,
    told_of,
)
from tests.support.linkage import Member, at_once
from tests.support.memory import Memory

AT_HOME, AT_HOST, AT_THIRD = (VOLUNTEERS.of(code).name for code in (HOME, HOST, THIRD))
FACTS: Final = IDENTITY_EVENTS.name


def presence(kind: type[Message], ref: str) -> Message:
    made: Any = kind
    return made(volunteer_ref=ref, project_ref="P1", shift_ref="H1", at=T0, method="scan")  # type: ignore[no-any-return]


def break_or_restore(kind: type[Message], ref: str, other: str, **more: str) -> Message:
    made: Any = kind
    return made(volunteer_ref=ref, registry=other, **more)  # type: ignore[no-any-return]


def said_of(ref: str, other: str) -> list[Message]:
    """All that a registry says of a ref that must be linked; ``other`` is the one it is linked with."""
    return [
        signup(ref=ref),
        signup(signups.SignupWithdrawn, ref=ref),
        reported(ref),
        presence(service.CheckedIn, ref),
        presence(service.CheckedOut, ref),
        attested(ref=ref),
        reviewed(ref=ref),
        break_or_restore(volunteers.LinkBroken, ref, other, reason="wrong_person"),
        break_or_restore(volunteers.LinkRestored, ref, other),
    ]


FROM_HOME: Final = [(HOME, message) for message in said_of(HOME_REF, HOST)]
FROM_HOST: Final = [
    (HOST, message) for message in said_of(HOST_REF, HOME) if type(message) is not signups.SignupReported
]
INNER: Final[list[Message]] = [
    *(told_of(kind) for kind in (opportunities.SignupConfirmed, opportunities.SignupWaitlisted)),
    *(told_of(kind) for kind in (opportunities.SignupPromoted, opportunities.SignupNoted)),
    told_of(opportunities.SignupRefused, reason="full"),
    told_of(opportunities.SignupWithdrawn, reason="asked"),
    attendance.ServiceConfirmed(**_fact(record(), HOST), minutes=60),
    attendance.ServiceHeld(**_fact(record(), HOST), minutes=60, reason="no_check_in"),
    attendance.ServiceRevoked(**_fact(record(), HOST), minutes=0),
]
NEVER_WAIT: Final = {
    "LinkOffered", "LinkRequested", "ConsentGiven", "ConsentWithdrawn", "ProjectPublished", "ShiftPublished",
    "CreditAccepted", "CreditRefused", "CreditUnknown", "LinkEstablished", "LinkRefused", "ConsentChanged",
    "CommandRefused", "CheckReceipt", "RetryTransfer", "SettleTransfer",
}  # fmt: skip
"""They need no link, or (identity's) bring it. ``LinkBroken`` and ``LinkRestored`` of identity raise without one."""


def by(wait: Wait | None) -> set[str]:
    assert wait is not None
    return set(named(wait.brought_by).split(","))


def waiting(world: World, code: str, message: Message) -> set[str]:
    world.say(code, message, id="it")
    return by(wait_of(world.member, "it"))


def wait_of(member: Member, id: str) -> Wait | None:
    """How the message of this id, the first of its subject, waits if it is decided now; None if it waits no more."""
    base = member.base
    assert isinstance(base, Memory)
    for row in {row.subject: row for row in reversed(base.in_line())}.values():
        event, entry = decode(row.record.value, row.record.headers), member.log.entries[row.record.topic]
        if event.id == id:
            work = member.processor.work(event, row.record, entry, row.received_at, row)
            return member.service.decide(base.rows, work.inbound, member.clock.now()).wait
    return None


def test_every_message_of_the_border_is_looked_at_here() -> None:
    looked_at = {type(m).__name__ for m in [m for _, m in FROM_HOME + FROM_HOST] + INNER}
    assert looked_at | NEVER_WAIT == {kind.__name__ for kind in [*FROM_REGISTRIES, *FROM_WITHIN]}
    assert not looked_at & NEVER_WAIT


@pytest.mark.parametrize(("code", "message"), FROM_HOME + FROM_HOST, ids=lambda it: getattr(it, "TYPE", it))
def test_what_was_never_offered_waits_by_its_own_registry_and_identity(code: str, message: Message) -> None:
    assert waiting(World(), code, message) == {FACTS, VOLUNTEERS.of(code).name}


@pytest.mark.parametrize(("code", "message"), FROM_HOME, ids=lambda it: getattr(it, "TYPE", it))
def test_what_its_home_offered_waits_by_the_host_too_to_which_it_was_offered(code: str, message: Message) -> None:
    world = World()
    world.say(HOME, offered(HOST))
    assert waiting(world, code, message) == {FACTS, AT_HOME, AT_HOST}


def test_a_sign_up_does_not_wait_by_another_host_to_which_she_was_offered() -> None:
    world = World()
    world.say(HOME, offered(THIRD))
    assert waiting(world, HOME, signup(ref=HOME_REF)) == {FACTS, AT_HOME}


def test_what_may_concern_any_host_waits_by_all_to_which_she_was_offered() -> None:
    world = World()
    world.say(HOME, offered(THIRD))
    world.say(HOME, volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent()))
    assert waiting(world, HOME, reported()) == {FACTS, AT_HOME, AT_HOST, AT_THIRD}


@pytest.mark.parametrize("message", INNER, ids=lambda it: it.TYPE)
def test_what_inner_services_say_of_a_person_waits_by_identity(message: Message) -> None:
    world = World()
    world.hear(message, id="it")
    assert by(wait_of(world.member, "it")) == {FACTS}


ORDERS: Final = ("it", "offer", "request", "identity", "border")
"""What may happen next: a message of a registry is read, identity hears a command, the border hears a fact."""


def in_any_order(code: str, message: Message) -> Iterator[tuple[list[str], BorderAndIdentity, list[str], bool]]:
    """All orders in which an offer, a request, the message and what follows from them can be read, up to the link.

    Gives each beginning of such an order, how all stands then, what is unread, and whether the order ends here.
    """
    begun: list[list[str]] = [[]]
    while begun:
        done = begun.pop()
        linkage, unread = happened(code, message, done)
        following = [*unread, *(["identity"] if linkage.commands else []), *(["border"] if linkage.facts else [])]
        begun += [[*done, name] for name in following]
        yield done, linkage, unread, not following


def happened(code: str, message: Message, order: list[str]) -> tuple[BorderAndIdentity, list[str]]:
    linkage = BorderAndIdentity()
    for name in order:
        match name:
            case "it":
                linkage.say(code, message, id="it")
            case "offer":
                linkage.offer()
            case "request":
                linkage.say(HOST, request())
            case "identity":
                linkage.identity_hears()
            case _:
                linkage.border_hears()
    return linkage, [name for name in ("it", "offer", "request") if name not in order]


def its_time_is_up(linkage: BorderAndIdentity, unread: list[str]) -> Aside:
    """What waits, ``await_facts`` later, while all that is unread lies on the log."""
    log = linkage.linkage
    at_once(linkage.identity.send(at_once(linkage.identity.base.standing())))
    if "offer" in unread:
        log.say(HOME, offer(expires_at=linkage.now + 10 * MINUTE))
    if "request" in unread:
        log.say(HOST, request())
    log.clock.moment += AWAIT_FACTS
    while at_once(linkage.border.reenter()):
        pass
    [waiting] = linkage.set_aside
    return waiting


@pytest.mark.parametrize(("code", "message"), FROM_HOME + FROM_HOST, ids=lambda it: getattr(it, "TYPE", it))
def test_in_whatever_order_all_is_read_something_that_is_listened_to_is_unread_as_long_as_it_waits(
    code: str, message: Message
) -> None:
    """Or a request is under way, and the wait is longer. So nothing is refused whose link was said in its time."""
    orders = 0
    for order, linkage, unread, ends in in_any_order(code, message):
        if ends:
            orders += 1
            assert linkage.set_aside == [], order
            assert not any(outcome.startswith("refused(not_linked") for outcome in linkage.outcomes("it"))
        if (wait := wait_of(linkage.border, "it")) is None:
            continue
        lies = {"offer": AT_HOME, "request": AT_HOST}
        logs = {lies[name] for name in unread if name in lies} | ({FACTS} if linkage.facts else set())
        later = linkage.now + 10 * MINUTE
        assert by(wait) & logs or (wait.until is not None and wait.until > later), order
        waiting = its_time_is_up(linkage, unread)
        assert waiting.brought_by is not None
        assert waiting.deadline is not None
        assert set(waiting.brought_by.split(",")) & logs or waiting.deadline > later, order
    assert orders > 10
