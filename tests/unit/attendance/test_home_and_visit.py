"""Home and visit compete for her time, through both services: who wins may depend on the order, no minute is lost."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from contracts.messages.opportunities import CommandRefused, SignupNoted, SignupRefused
from tests.support import opportunities as opportunities_world
from tests.support.attendance import PROJECT, XIA, World, at, attest, check_in, told
from tests.support.opportunities import report, request, shift, withdraw

HOME = {"h1": (6, 9), "h2": (9, 13), "h3": (14, 20)}
VISITS = {"v1": (8, 10), "v2": (12, 15), "v3": (16, 17)}


class Both:
    """Opportunities decides, attendance hears of it."""

    def __init__(self, *, cap: int = 480) -> None:
        self.opportunities = opportunities_world.World()
        self.attendance = World(cap=cap)

    def say(self, *commands: Message) -> list[str]:
        """To opportunities; gives what attendance tells because of it."""
        return list(told(self.attendance.deliver(*self.opportunities.all_told(*commands))))

    def serve(self, *messages: Message) -> list[str]:
        """To attendance, with all waiting over."""
        said = list(told(self.attendance.deliver(*messages)))
        return said + list(told(self.attendance.time_is_up()))


def test_minutes_at_home_count_once_the_visit_that_took_their_window_is_given_up() -> None:
    """Seen: her home's 480 minutes stayed held and uncounted, and 120 minutes of visits took the room of that day."""
    both = Both(cap=480)
    evening, morning = (shift(ref, of=PROJECT, window=at) for ref, at in (("v-evening", (18, 20)), ("v", (9, 11))))
    both.say(evening, morning, request(XIA, "v", of=PROJECT), request(XIA, "v-evening", of=PROJECT))
    both.say(report(XIA, "h", of=PROJECT, window=(8, 16)))
    assert both.serve(
        check_in("h", at("08:00"), host="sz"), attest("at-home", "h", at("08:00"), at("16:00"), host="sz")
    ) == ["held at-homev1 no_signup"]
    assert both.say(withdraw(XIA, "v", of=PROJECT)) == ["confirmed at-homev1"]
    again = shift("v-again", of=PROJECT, window=(10, 12))
    both.say(again, request(XIA, "v-again", of=PROJECT))
    assert [signup.shift_ref for signup in both.opportunities.signups(("confirmed",))] == ["v-evening"]
    assert both.serve(
        check_in("v-evening", at("18:00"), host="gz"),
        attest("visit", "v-evening", at("18:00"), at("20:00"), host="gz"),
    ) == ["held visitv1 over_cap"]


def _facts(commands: list[Message]) -> list[list[Message]]:
    """What opportunities says, sign-up by sign-up: between them no order holds on the way to attendance."""
    world = opportunities_world.World()
    world.all_told(*(shift(ref, of=PROJECT, window=window) for ref, window in VISITS.items()))
    lives: defaultdict[UUID, list[Message]] = defaultdict(list)
    for fact in world.all_told(*commands):
        if not isinstance(fact, CommandRefused):  # a withdrawal of what was refused
            lives[fact.signup_id].append(fact)  # type: ignore[attr-defined]
    return list(lives.values())


@st.composite
def days(draw: st.DrawFn) -> tuple[list[Message], set[str]]:
    """What attendance hears of a day, and the visits she kept. All of it, in any order that its keys allow."""
    kept = draw(st.sets(st.sampled_from(sorted(VISITS))))
    lines: list[list[Message]] = [[report(XIA, ref, of=PROJECT, window=window)] for ref, window in HOME.items()]
    for ref in VISITS:
        lines.append([request(XIA, ref, of=PROJECT), *([] if ref in kept else [withdraw(XIA, ref, of=PROJECT)])])
    loose = [
        message
        for host, windows in (("sz", HOME), ("gz", {ref: VISITS[ref] for ref in sorted(kept)}))
        for ref, (begin, end) in windows.items()
        for message in (
            check_in(ref, at(f"{begin:02}:00"), host=host),
            attest(f"r-{ref}", ref, at(f"{begin:02}:00"), at(f"{end:02}:00"), host=host),
        )
    ]
    lives = _facts(_drawn(draw, lines))
    return _drawn(draw, [*([message] for message in loose), *lives]), kept


def _drawn(draw: st.DrawFn, lines: list[list[Message]]) -> list[Message]:
    """One of the interleavings of these lines, each in its own order."""
    turns = draw(st.permutations([number for number, line in enumerate(lines) for _ in line]))
    rest = [iter(line) for line in lines]
    return [next(rest[turn]) for turn in turns]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


@settings(max_examples=300, deadline=None)
@given(days())
def test_in_any_order_every_hour_at_home_counts_that_no_visit_took_and_every_other_one_says_why(
    day: tuple[list[Message], set[str]],
) -> None:
    heard, kept = day
    world = World(cap=1440)
    said = [*told(world.deliver(*heard)), *told(world.time_is_up())]
    assert not [text for text in said if text.startswith("refused")]
    counted = {row.record_ref for row in world.standings() if row.counted_version is not None}
    has_post = {ref for ref in kept if _last(heard, ref) is not SignupRefused}
    taken = [VISITS[ref] for ref in has_post]
    # The rule of both services in one line: hers is what no visit holds. The order chose only which visits do.
    at_home = {ref for ref, window in HOME.items() if not any(_overlap(window, visit) for visit in taken)}
    assert {ref for ref in HOME if _last(heard, ref) is SignupNoted} == at_home
    assert counted == {f"r-{ref}" for ref in at_home | has_post}
    held = {row.record_ref: row.held_for for row in world.standings() if row.held_for is not None}
    assert held == {f"r-{ref}": "no_signup" for ref in HOME.keys() | kept if f"r-{ref}" not in counted}


def _last(heard: list[Message], ref: str) -> type[Message]:
    """The last word of opportunities on her sign-up for a shift."""
    return [type(fact) for fact in heard if hasattr(fact, "asker") and fact.shift_ref == ref][-1]  # type: ignore[attr-defined]
