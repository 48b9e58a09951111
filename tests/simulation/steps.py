"""What happens in a run, drawn from a seed before it begins. Each step stands by itself: any may be left out."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from tests.simulation.faults import FAULTS

__all__ = ["SAYINGS", "Step", "steps_of"]

_MORNING: Final = {"signup": 30, "signup_withdrawn": 5, "reported": 4, "shift": 4, "came": 3}
_DAY: Final = {"came": 30, "left": 8, "signup": 5, "attested": 12, "signup_withdrawn": 2, "reported": 3}
_EVENING: Final = {"attested": 36, "revoked": 3, "came": 4}
_ALWAYS: Final = {
    "offer": 3, "request": 3, "consent_given": 4, "consent_withdrawn": 2, "link_broken": 1, "link_restored": 4,
    "project": 1,
}  # fmt: skip
SAYINGS: Final = frozenset({*_MORNING, *_DAY, *_EVENING, *_ALWAYS})
"""What registries say; receipts come besides, as homes read their credits."""
_PARTS: Final = ((_MORNING, 60, 5), (_DAY, 55, 10), (_EVENING, 65, 10))
"""Of a day: what is said, how often, and how many times the clock goes on."""
_FAULTS: Final = 9
"""In each part."""
_DUMPS: Final = 3
"""In each part: a service's database is copied."""
_LATER: Final = (1, 2, 20, 31, 61, 301, 300, 900, 1200, 1800)
"""Seconds by which the clock goes on: over waits, receipts that are due, and offers that expire."""
_PEOPLE: Final = 6


class Step(NamedTuple):
    """``salt`` decides whatever else is open when the step is taken."""

    kind: str
    salt: int


def steps_of(seed: int) -> list[Step]:
    """The steps of a seed: a day of what registries say, faults and time that passes; after each all moves on a bit."""
    random = Random(seed)
    steps = [*_opening(random)]
    for kinds, count, later in _PARTS:
        weights = kinds | _ALWAYS
        kinds_said = random.choices(list(weights), list(weights.values()), k=count)
        faults = random.choices(list(FAULTS), [fault.weight for fault in FAULTS.values()], k=_FAULTS)
        part = [*kinds_said, *faults, *["pass"] * later, *["dump"] * _DUMPS]
        random.shuffle(part)
        steps += [Step(kind, random.getrandbits(32)) for kind in part]
        steps.append(Step("shift_begins", random.getrandbits(32)))
    moves = [Step("move", random.getrandbits(32)) for _ in steps]
    return [step for pair in zip(steps, moves, strict=True) for step in pair]


def _opening(random: Random) -> list[Step]:
    """Shifts are published and everybody is linked, if nothing comes between."""
    published = ["project"] * 6 + ["shift"] * 14
    pairs = [Step(kind, number + _PEOPLE * random.getrandbits(28))
             for number in range(_PEOPLE) for kind in ("offer", "request")]  # fmt: skip
    return [*(Step(kind, random.getrandbits(32)) for kind in published), *pairs]


def seconds(salt: int) -> int:
    """How far a step lets the clock go on."""
    return _LATER[salt % len(_LATER)]
