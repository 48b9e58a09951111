"""The load of a cell: a seeded handful of visitors in both directions, and what must stand in the books afterwards."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from contracts.envelope import Event
from contracts.messages import Message
from contracts.topics import registry_source, registry_topic_for
from deploy.demo.lines import Letter
from tests.support.journey import DAY, Visit

__all__ = ["Planned", "letter", "letters", "plan", "waves"]

DIRECTIONS = (("sz", "gz"), ("gz", "sz"))


@dataclass(frozen=True)
class Planned:
    """One visit, all that is said about it in order, and how it ends: minutes credited and status at the host."""

    visit: Visit
    said: tuple[Letter, ...]
    minutes: int
    status: str


def letter(rng: random.Random, code: str, message: Message, at: datetime) -> Letter:
    """A message in a registry's name under a seeded id."""
    source = registry_source(code)
    topic = registry_topic_for(source, type(message))
    assert topic is not None
    return Letter(topic, Event(f"{rng.getrandbits(128):032x}", source, at.astimezone(UTC), message))


def plan(rng: random.Random, count: int, *, direction: tuple[str, str] | None = None) -> list[Planned]:
    """``count`` visits: of four one is corrected downwards, and of eight one is revoked."""
    return [_one(rng, number, direction or DIRECTIONS[number % 2]) for number in range(count)]


def _one(rng: random.Random, number: int, direction: tuple[str, str]) -> Planned:
    mark = uuid.UUID(int=rng.getrandbits(128)).hex[:12]
    visit = Visit(*direction, mark=mark, code=f"{rng.getrandbits(192):048x}")
    minutes = rng.randrange(60, 240)
    before, after = DAY - timedelta(days=10), DAY + timedelta(hours=5)
    said = [*visit.link(), *visit.publish(), visit.sign_up()]
    spoken = [(code, message, before + timedelta(seconds=n)) for n, (code, message) in enumerate(said)]
    spoken += [(code, message, visit.start) for code, message in visit.presence()]
    spoken.append((*visit.attest(minutes), after))
    status = "confirmed"
    if number % 4 == 2:
        minutes -= rng.randrange(1, 30)
        spoken.append((*visit.attest(minutes, 2), after + timedelta(minutes=20)))
    elif number % 8 == 5:
        spoken.append((*visit.attest(minutes, 2, revoked=True), after + timedelta(minutes=20)))
        minutes, status = 0, "revoked"
    return Planned(visit, tuple(letter(rng, *one) for one in spoken), minutes, status)


def letters(planned: Iterable[Planned]) -> list[Letter]:
    """All that is said about these visits; of each in its order."""
    return [one for visit in planned for one in visit.said]


def waves(planned: Sequence[Planned], count: int) -> list[list[Letter]]:
    """The same in so many portions, to be published one after the other."""
    return [letters(planned[number::count]) for number in range(count)]
