"""Whatever comes in whatever order: nobody too many, nobody in two places, all answered, the line in order, no window
of home lost."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import combinations
from typing import TypeAlias
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.ids import signup_id
from contracts.messages import Message
from contracts.messages.opportunities import (
    CommandRefused,
    PublishShift,
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
from tests.support.opportunities_streams import PERSONS, opening, steps

Window: TypeAlias = tuple[datetime, datetime]


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


def _check_wishes(world: World, wished: dict[UUID, Window]) -> None:
    """What home said last of each of its shifts stands, or is kept and clashes with something that stands."""
    active = world.signups(ACTIVE)
    kept = {}
    for signup in world.signups(("reported", "clashed")):
        window = (signup.starts_at, signup.ends_at)
        if (wish := signup.wish) is not None:
            window = (wish.starts_at, wish.ends_at)
            assert any(
                other.person == signup.person
                and other.signup_id != signup.signup_id
                and other.starts_at < wish.ends_at
                and wish.starts_at < other.ends_at
                for other in active
            ), "it could stand and does not"
        kept[signup.signup_id] = window
    assert kept == wished


def _follow(wished: dict[UUID, Window], command: Message, decision: Decision) -> None:
    """Take into account what home said, and what else ends it."""
    told = {type(send.message) for send in decision.sends if getattr(send.message, "origin", None) == command.origin}  # type: ignore[attr-defined]
    if isinstance(command, PublishShift):
        for cancelled in (row for row in decision.changes if isinstance(row, Shift) and row.state == "cancelled"):
            for person in PERSONS:
                wished.pop(signup_id(person, *cancelled.key), None)
    elif isinstance(command, ReportSignup) and command.state == "active":
        if told <= {SignupNoted, SignupRefused} and _refusal(decision) != "shift_cancelled":
            wished[command.signup_id] = (command.starts_at, command.ends_at)
    elif isinstance(command, RequestSignup) and told == {SignupNoted}:
        return  # she is busy there by her home's word, and that is what she was told
    elif isinstance(command, RequestSignup | WithdrawSignup | ReportSignup) and not told <= {SignupRefused}:
        wished.pop(command.signup_id, None)  # ended, or asked for and given where home's own report had lost


def _refusal(decision: Decision) -> str | None:
    return next((send.message.reason for send in decision.sends if isinstance(send.message, SignupRefused)), None)


def _check_answers(command: Message, decision: Decision) -> None:
    """The sender of a sign-up command hears exactly one answer, under its own message."""
    if not isinstance(command, RequestSignup | WithdrawSignup | ReportSignup):
        return
    if decision.wait is not None:
        assert isinstance(command, RequestSignup)
        assert not decision.sends
        return
    own = [send.message for send in decision.sends if getattr(send.message, "origin", None) == command.origin]
    kinds: tuple[type[Message], ...] = (SignupConfirmed, SignupWaitlisted, SignupRefused, SignupNoted)
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
    # Each is told to everyone who asked for it.
    first_told = list(dict.fromkeys(message.signup_id for message in moved))
    assert first_told == line[: len(first_told)]


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
    wished: dict[UUID, Window] = {}
    for command, at in stream:
        before = _line_of(world, command)
        decision = world.decide(command, at)
        _check_books(world)
        _follow(wished, command, decision)
        _check_wishes(world, wished)
        _check_answers(command, decision)
        _check_line(before, decision)
    assert all(row.confirmed <= row.posts for row in world.outcomes if row.confirmed and row.posts is not None)
    assert {row.outcome for row in world.outcomes if row.posts is not None} <= {"confirmed", "promoted"}
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
