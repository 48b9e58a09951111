"""Whatever comes in whatever order: nobody too many, nobody in two places, all answered, the line in order."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from contracts.messages.opportunities import (
    CommandRefused,
    ReportSignup,
    RequestSignup,
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
    WithdrawSignup,
)
from services.chassis.decisions import Decision
from services.opportunities.states import ACTIVE, Shift, Signup
from tests.support.opportunities import World
from tests.support.opportunities_streams import opening, steps


def _check_books(world: World) -> None:
    active = world.signups(ACTIVE)
    for shift in world.states.changed(Shift):
        states = Counter(signup.state for signup in active if signup.shift == shift.key)
        assert states["confirmed"] == shift.confirmed <= shift.capacity
        assert states["waitlisted"] == shift.waitlisted
    for one, other in combinations(active, 2):
        assert one.person != other.person or one.ends_at <= other.starts_at or other.ends_at <= one.starts_at, (
            "two places at a time"
        )


def _check_answers(command: Message, decision: Decision) -> None:
    """The sender of a sign-up command hears exactly one answer, under its own message."""
    if not isinstance(command, RequestSignup | WithdrawSignup | ReportSignup):
        return
    if decision.wait is not None:
        assert isinstance(command, RequestSignup)
        assert not decision.sends
        return
    own = [send.message for send in decision.sends if getattr(send.message, "origin", None) == command.origin]
    kinds: tuple[type[Message], ...] = (SignupConfirmed, SignupWaitlisted, SignupRefused)
    if isinstance(command, WithdrawSignup):
        kinds = (SignupWithdrawn, CommandRefused)
    elif isinstance(command, ReportSignup):
        kinds = (SignupNoted, SignupWithdrawn, CommandRefused, *kinds)
    assert len(own) == 1
    assert isinstance(own[0], kinds)


def _check_line(before: list[Signup], decision: Decision) -> None:
    """Promoted are the first of the line, in order; and nobody stays in line while an open post is free."""
    moved = [send.message for send in decision.sends if isinstance(send.message, SignupPromoted)]
    gone = {send.message.signup_id for send in decision.sends if isinstance(send.message, SignupWithdrawn)}
    line = [signup.signup_id for signup in before if signup.signup_id not in gone]
    assert [message.signup_id for message in moved] == line[: len(moved)]


def _line_of(world: World, command: Message) -> list[Signup]:
    named = getattr(command, "shift", None)
    ref = named.shift_ref if named is not None else getattr(command, "shift_ref", "")
    line = [row for row in world.signups(("waitlisted",)) if row.shift == (*command.key.split(":"), ref)]
    return sorted(line, key=lambda signup: signup.position or 0)


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(steps, min_size=10, max_size=80))
def test_any_stream_keeps_the_promises_at_every_step(opened: bool, stream: list[tuple[Message, datetime]]) -> None:
    world = World()
    if opened:
        world.all_told(*opening())
    for command, at in stream:
        before = _line_of(world, command)
        decision = world.decide(command, at)
        _check_books(world)
        _check_answers(command, decision)
        _check_line(before, decision)
    requested = [row for row in world.outcomes if row.outcome in ("confirmed", "waitlisted", "refused")]
    now = Counter(signup.state for signup in world.signups())
    told = Counter(row.outcome for row in world.outcomes)
    assert len(requested) == now["confirmed"] + now["waitlisted"] + told["withdrawn"] + told["refused"]


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, min_size=10, max_size=60))
def test_before_the_day_nobody_waits_in_line_while_a_post_is_free(stream: list[tuple[Message, datetime]]) -> None:
    world = World()
    world.all_told(*opening())
    for command, _ in stream:
        world.decide(command)
        for shift in world.states.changed(Shift):
            assert shift.state == "cancelled" or not (shift.free and shift.waitlisted)
