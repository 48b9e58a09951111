"""Whatever the order of versions, check-ins and sign-ups: nothing counts twice, and what could count does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from contracts.messages.attendance import ServiceConfirmed, ServiceHeld, ServiceRevoked
from contracts.messages.opportunities import (
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from contracts.messages.service import shanghai_day
from services.attendance.states import Presence, Signup, Standing
from tests.support.attendance import LIN, XIA, World, at, attest, check_in, signup

CAP = 240


@dataclass(frozen=True)
class Plan:
    """A version of a record, in hours of Monday (day 0) or Tuesday."""

    day: int
    start: int
    hours: int
    shift: str
    revoked: bool

    def attest(self, ref: str, version: int, person: UUID, host: str) -> Message:
        start, end = at(f"{self.start}:00", self.day), at(f"{self.start + self.hours}:00", self.day)
        return attest(ref, self.shift, start, end, version=version, person=person, host=host, revoked=self.revoked)


plans = st.builds(
    Plan,
    day=st.integers(0, 1),
    start=st.integers(8, 13),
    hours=st.integers(1, 3),
    shift=st.sampled_from(("s1", "s2")),
    revoked=st.sampled_from((False, False, False, True)),
)


LIVES: Final[list[list[tuple[Any, dict[str, str]]]]] = [
    [],
    [(SignupConfirmed, {})],
    [(SignupConfirmed, {}), (SignupRefused, {"reason": "already_signed_up"})],
    [(SignupConfirmed, {}), (SignupWithdrawn, {})],
    [(SignupConfirmed, {}), (SignupWithdrawn, {}), (SignupRefused, {"reason": "clash"}), (SignupConfirmed, {})],
    [(SignupWaitlisted, {}), (SignupPromoted, {})],
    [(SignupWaitlisted, {}), (SignupWithdrawn, {})],
    [(SignupRefused, {"reason": "clash"})],
    [(SignupRefused, {"reason": "clash"}), (SignupNoted, {})],
    [(SignupNoted, {}), (SignupRefused, {"reason": "clash"}), (SignupNoted, {})],
]
"""What opportunities may say of a sign-up in its life, in this order: windows of home that had lost come to stand."""
RIGHT: Final = ("confirmed", "promoted", "noted")
_GIVES_A_RIGHT: Final = (SignupConfirmed, SignupPromoted, SignupNoted)


@st.composite
def in_any_order(draw: st.DrawFn, loose: list[Message], lives: list[list[Message]]) -> list[Message]:
    """All in any order, but what is said of one sign-up in its own: it is one key."""
    turns = draw(st.permutations([*range(len(loose)), *(-n for n, life in enumerate(lives, 1) for _ in life)]))
    rest = [iter(life) for life in lives]
    return [loose[turn] if turn >= 0 else next(rest[-turn - 1]) for turn in turns]


@st.composite
def crowded_days(draw: st.DrawFn) -> list[Message]:
    """Two persons, two registries, two shifts each: much competes, some evidence is missing, all in any order."""
    messages: list[Message] = []
    lives: list[list[Message]] = []
    for person, ref in ((XIA, "x"), (LIN, "l")):
        for host in ("aa", "bb"):
            for number in range(draw(st.integers(0, 3))):
                versions = draw(st.lists(plans, min_size=1, max_size=3))
                messages += [
                    plan.attest(f"{ref}{number}", version, person, host) for version, plan in enumerate(versions, 1)
                ]
            for shift in ("s1", "s2"):
                life = draw(st.sampled_from([*LIVES, LIVES[1], LIVES[1], LIVES[1]]))
                lives.append([signup(shift, kind, person=person, host=host, **more) for kind, more in life])
                messages += [
                    check_in(shift, at("07:00", day), person=person, host=host)
                    for day in (0, 1)
                    if draw(st.integers(0, 4))
                ]
    return draw(in_any_order(messages, lives))


def spans(world: World, person: UUID) -> list[Standing]:
    counted = [row for row in world.standings() if row.person == person and row.counted_from is not None]
    return sorted(counted, key=lambda row: (row.counted_from, row.counted_to))


def assert_nothing_counts_twice(world: World) -> None:
    for person in (XIA, LIN):
        rows = spans(world, person)
        for one, next_one in pairwise(rows):
            assert one.counted_to is not None
            assert next_one.counted_from is not None
            assert one.counted_to <= next_one.counted_from
        shifts = [(row.counted_signup, row.counted_day) for row in rows]
        assert len(shifts) == len(set(shifts))
        for day in {row.counted_day for row in rows}:
            assert sum(row.counted_minutes or 0 for row in rows if row.counted_day == day) <= CAP


def assert_what_was_told_counts(world: World) -> None:
    """The last word on each record, as a reader of the events alone sees it."""
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    state: dict[tuple[str, str], tuple[int, str | None]] = {}
    for message in world.sent:
        if not isinstance(message, ServiceConfirmed | ServiceHeld | ServiceRevoked):
            continue
        key = (message.host, message.record.record_ref)
        assert state.get(key, (0, None))[0] <= message.record.version
        state[key] = (message.record.version, message.reason if isinstance(message, ServiceHeld) else None)
        if isinstance(message, ServiceConfirmed):
            assert message.minutes == message.record.minutes
            counted[key] = (message.record.version, message.minutes)
        elif isinstance(message, ServiceRevoked):
            counted.pop(key, None)
    for row in world.standings():
        assert state[row.key] == (row.version, row.held_for)
        mine = None if row.counted_version is None else (row.counted_version, row.counted_minutes)
        assert counted.get(row.key) == mine


def fits(world: World, row: Standing) -> bool:
    """Said a second time, in other words than the rules': could this held version count now?"""
    record = row.record()
    sign_up = next((sign for sign in world.rows(Signup) if sign.id == row.signup_id), None)
    may_serve = (sign_up is not None and sign_up.state in RIGHT) or row.counted_signup == row.signup_id
    came = any(
        stay.signup_id == row.signup_id and shanghai_day(stay.came_at) == record.day for stay in world.rows(Presence)
    )
    others = [other for other in spans(world, row.person) if other.key != row.key]
    free = all(
        other.counted_to is not None
        and other.counted_from is not None
        and (other.counted_to <= record.started_at or record.ended_at <= other.counted_from)
        for other in others
    )
    today = [other for other in others if other.counted_day == record.day]
    single = all(other.counted_signup != row.signup_id for other in today)
    return may_serve and came and free and single and sum(o.counted_minutes or 0 for o in today) + record.minutes <= CAP


@settings(max_examples=300, deadline=None)
@given(crowded_days())
def test_in_any_order_nothing_counts_twice_and_what_is_held_could_not_count(messages: list[Message]) -> None:
    world = World(cap=CAP)
    for message in messages:
        world.deliver(message)
        assert_nothing_counts_twice(world)
    world.time_is_up()
    assert_nothing_counts_twice(world)
    assert_what_was_told_counts(world)
    latest: dict[tuple[str, str], int] = {}
    for message in messages:
        if hasattr(message, "record"):
            key = (message.host, message.record.record_ref)  # type: ignore[attr-defined]
            latest[key] = max(latest.get(key, 0), message.record.version)
    assert {row.key: row.version for row in world.standings()} == latest
    assert not [row for row in world.standings() if row.held_for is not None and fits(world, row)]


@settings(max_examples=100, deadline=None)
@given(crowded_days())
def test_service_records_delivered_again_change_nothing(messages: list[Message]) -> None:
    world = World(cap=CAP)
    world.deliver(*messages)
    world.time_is_up()
    before = {row.key: row for row in world.standings()}
    again = [message for message in messages if hasattr(message, "record")]
    assert world.deliver(*again) == []
    assert world.time_is_up() == []
    assert {row.key: row for row in world.standings()} == before


@st.composite
def quiet_days(draw: st.DrawFn) -> tuple[list[Message], dict[tuple[str, str], tuple[int, int]]]:
    """One record an hour, each of a shift of its own, with all its evidence and up to three versions: no conflict."""
    messages: list[Message] = []
    lives: list[list[Message]] = []
    expected: dict[tuple[str, str], tuple[int, int]] = {}
    for number, host in enumerate(draw(st.lists(st.sampled_from(("aa", "bb")), min_size=1, max_size=4))):
        shift, ref = f"s{number}", f"r{number}"
        life = draw(st.sampled_from([life for life in LIVES if life and life[-1][0] in _GIVES_A_RIGHT]))
        lives.append([signup(shift, kind, host=host, **more) for kind, more in life])
        messages.append(check_in(shift, at("07:00"), host=host))
        lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=3))
        for version, minutes in enumerate(lengths, 1):
            start = at(f"{8 + number}:00")
            end = at(f"{8 + number}:{minutes}")
            messages.append(attest(ref, shift, start, end, version=version, host=host))
        expected[host, ref] = (len(lengths), lengths[-1])
    return draw(in_any_order(messages, lives)), expected


@settings(max_examples=200, deadline=None)
@given(quiet_days())
def test_without_conflict_every_record_is_confirmed_whatever_the_order(
    day: tuple[list[Message], dict[tuple[str, str], tuple[int, int]]],
) -> None:
    messages, expected = day
    world = World(cap=CAP)
    world.deliver(*messages)
    assert world.time_is_up() == []
    assert {row.key: (row.counted_version, row.counted_minutes) for row in world.standings()} == expected
    assert not [row for row in world.standings() if row.held_for is not None]
