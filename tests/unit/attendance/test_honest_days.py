"""A thousand honest days, of which hardly a record is held; and the same days in any order, with the same minutes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Message
from tests.support.attendance import at, attest, check_in, check_out, signup
from tests.support.attendance_policy import Strict

DAYS: Final = 1000
MINUTE: Final = timedelta(minutes=1)
Span: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True)
class Said:
    """What is said of one shift of hers: by opportunities, by the scanner, and by who attests."""

    right: Message
    seen: list[Message]
    records: list[Message]


def honest(seed: int) -> Said:
    """She comes and leaves early or late within grace, in one to three stays, now and then over midnight. The scanner's
    clock and that of the desk are wrong by five minutes at most."""
    draw = random.Random(seed)
    night = draw.random() < 0.15
    start = at("22:00") if night else at(f"{draw.randint(6, 13):02}:{draw.choice((0, 30)):02}")
    end = start + timedelta(minutes=30 * draw.randint(4, 14 if night else 12))
    came, left = start + draw.randint(-25, 20) * MINUTE, end + draw.randint(-15, 25) * MINUTE
    scanner, desk = draw.randint(-5, 5) * MINUTE, draw.randint(-5, 5) * MINUTE
    stays = _stays(draw, came, left)
    seen: list[Message] = []
    for begin, finish in stays:
        seen += [check_in("s1", begin + scanner), check_out("s1", finish + scanner)]
    served = max(came, start) + desk, min(left, end) + desk
    records = _records(served, [(one[1], two[0]) for one, two in pairwise(stays)])
    return Said(signup("s1", starts_at=start, ends_at=end), seen, records)


def _stays(draw: random.Random, came: datetime, left: datetime) -> list[Span]:
    count = draw.choice((1, 1, 2, 3))
    length = (left - came) // count
    if length < 60 * MINUTE:
        return [(came, left)]
    begins = [came + number * length for number in range(count)]
    ends = [begin - draw.randint(10, 25) * MINUTE for begin in begins[1:]]
    return list(zip(begins, [*ends, left], strict=True))


def _records(served: Span, pauses: Sequence[Span]) -> list[Message]:
    """A record of each day, with the pauses as breaks."""
    midnight, found = at("24:00"), []
    spans = [served] if served[1] <= midnight else [(served[0], midnight), (midnight, served[1])]
    for number, (begin, end) in enumerate(spans):
        shared = (min(pause[1], end) - max(pause[0], begin) for pause in pauses)
        breaks = sum((part for part in shared if part > timedelta(0)), timedelta(0))
        if end - begin > breaks + MINUTE:
            found.append(attest(f"r{number}", "s1", begin, end, break_minutes=breaks // MINUTE, home="zz"))
    return found


def test_of_a_thousand_honest_days_at_most_one_in_a_hundred_is_held() -> None:
    held: list[str] = []
    for seed in range(DAYS):
        said, world = honest(seed), Strict()
        # Every third day is attested before she checks out.
        behind = -1 if seed % 3 == 0 else len(said.seen)
        world.deliver(said.right, *said.seen[:behind], *said.records, *said.seen[behind:])
        held += [f"day {seed}: {row.held_for}" for row in world.standings() if row.held_for is not None]
    assert len(held) <= DAYS // 100, held


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_in_any_order_and_said_twice_the_same_messages_end_in_the_same_minutes(seed: int, draw: random.Random) -> None:
    """The scanner's messages lie in one partition, in its order. The others come before, between or after them."""
    said, ordered, other = honest(seed), Strict(), Strict(patient=True)
    ordered.deliver(said.right, *said.seen, *said.records)
    mixed = list(said.seen)
    for message in (said.right, *said.records, *said.records):
        mixed.insert(draw.randint(0, len(mixed)), message)
    for message in mixed:
        other.deliver(message)
    other.time_is_up()
    assert {row.key: row.counted_minutes for row in other.standings()} == {
        row.key: row.counted_minutes for row in ordered.standings()
    }
