"""Thousands of service records with little around them: few people, one shift a day for all of them."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from contracts.messages.service import CheckedIn, ServiceAttested
from contracts.messages.signups import SignupRequested
from deploy.operate.lines import Letter
from tests.lab.faults.load import Direction, Record, Signups, Story, letters, new_mark, told
from tests.lab.faults.site import Site
from tests.support.journey import DAY, Visit

__all__ = ["Phases", "attested", "mass", "prepared"]

_PORTION: Final = 2000
"""Letters in a portion: enough for full batches, few enough that a portion is encoded in a moment."""


def mass(rng: random.Random, people: int, days: int, direction: Direction) -> list[Story]:
    """People who serve once on each of these days, all in the shift of the day: neither overlap nor cap stops them."""
    where = new_mark(rng)
    start = [DAY - timedelta(days=number) for number in range(days)]
    shifts = [Visit(*direction, mark=f"{where}{number}", start=at) for number, at in enumerate(start)]
    before = DAY - timedelta(days=days + 8)
    opening = told(rng, [one for shift in shifts for one in shift.publish(posts=people)], before)
    stories = [_person(rng, shifts) for _ in range(people)]
    refs = tuple(ref for one in stories for ends in one.signups for ref in ends.refs)
    ends = Signups(*direction, refs, {"post": len(refs)})
    first, *others = [Story(one.visit, one.said, one.records) for one in stories]
    return [Story(first.visit, (*opening, *first.said), first.records, (ends,)), *others]


def _person(rng: random.Random, shifts: Sequence[Visit]) -> Story:
    who = new_mark(rng)
    home, host = shifts[0].home, shifts[0].host
    days = [
        Visit(home, host, mark=f"{who}{number}", who=who, where=shift.mark, start=shift.start)
        for number, shift in enumerate(shifts)
    ]
    minutes = [rng.randrange(60, 240) for _ in days]
    linked = Visit(home, host, mark=who, code=f"{rng.getrandbits(192):048x}", start=days[-1].start)
    before = days[-1].start - timedelta(days=8)
    said = told(rng, [*linked.link(), *(day.sign_up() for day in days)], before)
    for day, served in zip(days, minutes, strict=True):
        said += told(rng, [day.presence()[0]], day.start)
        said += told(rng, [day.attest(served)], day.start + timedelta(hours=5))
    records = tuple(Record.of(day, served) for day, served in zip(days, minutes, strict=True))
    return Story(linked, tuple(said), records, (Signups(home, host, tuple(day.signup_ref for day in days), {}),))


def attested(stories: Sequence[Story]) -> list[Letter]:
    """The attestations in these stories."""
    return letters(stories, only=(ServiceAttested,))


@dataclass
class Phases:
    """How long each part of a load took, for the report."""

    seconds: dict[str, float]

    def __str__(self) -> str:
        """In words."""
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())


async def prepared(site: Site, stories: Sequence[Story]) -> Phases:
    """Everything but the attestations, applied: each kind of message once what it builds on stands."""
    phases = Phases({})
    later = (SignupRequested, CheckedIn, ServiceAttested)
    steps = {
        "links and shifts": letters(stories, but=later),
        "sign-ups": letters(stories, only=(SignupRequested,)),
        "check-ins": letters(stories, only=(CheckedIn,)),
    }
    for name, said in steps.items():
        begun = time.monotonic()
        await in_portions(site, said)
        await site.drained()
        phases.seconds[f"{len(said)} {name}"] = time.monotonic() - begun
    return phases


async def in_portions(site: Site, said: Sequence[Letter]) -> None:
    """Publish much."""
    for start in range(0, len(said), _PORTION):
        await site.publish(said[start : start + _PORTION])
