"""Home and the linkage speak of one person in any interleaving: it decides who wins, never whether a window is lost."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from tests.support.opportunities import World, hour, report, request, shift, withdraw

SHE = UUID(int=1, version=4)
HOME = {"h1": (6, 9), "h2": (9, 13), "h3": (14, 20)}
VISITS = {"s1": (8, 10), "s2": (12, 15), "s3": (16, 17), "s4": (10, 11)}


@st.composite
def interleaved(draw: st.DrawFn) -> list[Message]:
    """Each sign-up's own messages keep their order, as their keys do; between them any order is drawn."""
    lines: list[list[Message]] = []
    for ref, window in HOME.items():
        said: list[Message] = []
        for _ in range(draw(st.integers(1, 2))):
            said.append(report(SHE, ref, window=window))
            if draw(st.booleans()):
                said.append(report(SHE, ref, window=window, state="withdrawn"))
        lines.append(said)
    for ref in VISITS:
        lines.append([request(SHE, ref)])
        if draw(st.booleans()):
            lines[-1].append(withdraw(SHE, ref))
    turns = draw(st.permutations([number for number, line in enumerate(lines) for _ in line]))
    rest = [iter(line) for line in lines]
    return [next(rest[turn]) for turn in turns]


def _wanted(messages: list[Message]) -> set[str]:
    """The shifts at home that the last word calls hers."""
    last = {message.shift_ref: message.state for message in messages if hasattr(message, "state")}  # type: ignore[attr-defined]
    return {ref for ref, state in last.items() if state == "active"}


def _free(ref: str, taken: set[str]) -> bool:
    starts, ends = HOME[ref]
    return all(VISITS[visit][1] <= starts or ends <= VISITS[visit][0] for visit in taken)


@settings(max_examples=300, deadline=None)
@given(interleaved(), st.sets(st.sampled_from(sorted(VISITS)), max_size=2))
def test_in_any_interleaving_every_home_window_stands_that_no_visit_takes(
    messages: list[Message], full: set[str]
) -> None:
    world = World()
    # Of a shift that is full she gets a place in line, which takes her time like a post.
    world.all_told(*(shift(ref, window=at, posts=ref not in full, waitlist=9) for ref, at in VISITS.items()))
    world.all_told(*messages)
    taken = {signup.shift_ref for signup in world.signups(("confirmed", "waitlisted"))}
    standing = {signup.shift_ref for signup in world.signups(("reported",))}
    assert standing == {ref for ref in _wanted(messages) if _free(ref, taken)}
    assert {signup.shift_ref for signup in world.signups(("clashed",))} == _wanted(messages) - standing
    # And with the visits over, nothing of home's is missing.
    world.all_told(*(withdraw(SHE, ref) for ref in sorted(taken)))
    windows = {signup.shift_ref: (signup.starts_at, signup.ends_at) for signup in world.signups()}
    assert windows == {ref: (hour(HOME[ref][0]), hour(HOME[ref][1])) for ref in _wanted(messages)}
