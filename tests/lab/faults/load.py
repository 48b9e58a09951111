"""The load of a cell: a seeded handful of stories in both directions, and what must stand in the books afterwards."""

from __future__ import annotations

import random
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from contracts.envelope import Event
from contracts.messages import Message
from contracts.messages.base import AgeBand
from contracts.messages.service import ServiceAttested
from contracts.messages.signups import SignupWithdrawn
from contracts.messages.volunteers import ConsentGiven, ConsentWithdrawn
from contracts.topics import registry_source, registry_topic_for
from deploy.operate.lines import Letter
from tests.support.journey import Visit

__all__ = [
    "DIRECTIONS",
    "LATE",
    "Direction",
    "Record",
    "Signups",
    "Story",
    "letter",
    "letters",
    "new_mark",
    "spread",
    "sums",
    "told",
    "visits",
    "waves",
]

Direction: TypeAlias = tuple[str, str]
"""Home, host."""
DIRECTIONS: Final[tuple[Direction, Direction]] = (("sz", "gz"), ("gz", "sz"))

LATE: Final[tuple[type[Message], ...]] = (ServiceAttested, SignupWithdrawn, ConsentWithdrawn, ConsentGiven)
"""What is said last in every story: after these come credits and receipts, promotions, and transfers held back."""

KINDS: Final = ("plain", "raised", "lowered", "revoked", "consent", "minor", "lowered", "raised")
"""What becomes of eight visits: corrected upwards, downwards, taken back; consent withdrawn before the attestation and
renewed after it; a minor whose guardian approved."""


@dataclass(frozen=True)
class Record:
    """How a service record ends: minutes credited at home, and its status at the host."""

    host: str
    record_ref: str
    home: str
    home_ref: str
    minutes: int
    status: str

    @classmethod
    def of(cls, visit: Visit, minutes: int, status: str = "confirmed") -> Record:
        """The record of a visit."""
        return cls(visit.host, visit.record_ref, visit.home, visit.home_ref, minutes, status)


@dataclass(frozen=True)
class Signups:
    """How sign-ups end: their refs at home, and how many of them stand how, whichever these are.

    ``post`` is a confirmed or promoted one; a refusal is named by its reason. ``promoted``: how many at least.
    """

    home: str
    host: str
    refs: tuple[str, ...]
    stand: Mapping[str, int]
    promoted: int = 0


@dataclass(frozen=True)
class Story:
    """What is said about some people, in order, and how it ends. ``visit`` is the first of them."""

    visit: Visit
    said: tuple[Letter, ...]
    records: tuple[Record, ...] = ()
    signups: tuple[Signups, ...] = ()
    consent_version: int | None = None
    """Given again under this version."""
    linked_before: bool = False
    """Whether they were linked before the rest is said: then both registries are told of consent, and not else."""
    may_leave: Mapping[str, Letter] = field(default_factory=dict)
    """By ref: how those who sign up for the same shift would give it back."""


def letter(rng: random.Random, code: str, message: Message, at: datetime) -> Letter:
    """A message in a registry's name under a seeded id."""
    source = registry_source(code)
    topic = registry_topic_for(source, type(message))
    assert topic is not None
    return Letter(topic, Event(f"{rng.getrandbits(128):032x}", source, at.astimezone(UTC), message))


def new_mark(rng: random.Random) -> str:
    """A mark for a visit."""
    return uuid.UUID(int=rng.getrandbits(128)).hex[:12]


def told(rng: random.Random, said: Iterable[tuple[str, Message]], at: datetime) -> list[Letter]:
    """These messages, a second apart."""
    return [letter(rng, code, message, at + timedelta(seconds=n)) for n, (code, message) in enumerate(said)]


def visits(
    rng: random.Random, count: int, *, direction: Direction | None = None, kind: str | None = None
) -> list[Story]:
    """``count`` visits of all kinds, or of one, in both directions in turn, or in one."""
    kinds: list[str] = []
    while len(kinds) < count:
        kinds += rng.sample(KINDS, len(KINDS)) if kind is None else [kind]
    return [_visit(rng, kinds[number], direction or DIRECTIONS[number % 2]) for number in range(count)]


def _visit(rng: random.Random, kind: str, direction: Direction) -> Story:
    minor = {"age_band": AgeBand.FROM_14, "guardian_approved": True} if kind == "minor" else {}
    visit = Visit(*direction, mark=new_mark(rng), code=f"{rng.getrandbits(192):048x}", **minor)  # type: ignore[arg-type]
    minutes, status = rng.randrange(60, 200), "confirmed"
    said = told(rng, [*visit.link(), *visit.publish(), visit.sign_up()], visit.start - timedelta(days=10))
    said += told(rng, visit.presence(), visit.start)
    late = [visit.attest(minutes)]
    if kind in ("raised", "lowered"):
        minutes += rng.randrange(1, 30) * (1 if kind == "raised" else -1)
        late.append(visit.attest(minutes, 2))
    elif kind == "revoked":
        late.append(visit.attest(minutes, 2, revoked=True))
        minutes, status = 0, "revoked"
    elif kind == "consent":
        late = [visit.withdraw_consent(), *late, visit.renew_consent()]
    said += told(rng, late, visit.start + timedelta(hours=5))
    return Story(
        visit,
        tuple(said),
        records=(Record.of(visit, minutes, status),),
        signups=(Signups(visit.home, visit.host, (visit.signup_ref,), {"post": 1}),),
        consent_version=2 if kind == "consent" else None,
    )


def letters(
    stories: Iterable[Story], *, only: Collection[type[Message]] = (), but: Collection[type[Message]] = ()
) -> list[Letter]:
    """All that is said in these stories, of each in its order; only some kinds of message, or all but some."""
    return [one for story in stories for one in story.said if _wanted(one, only, but)]


def _wanted(one: Letter, only: Collection[type[Message]], but: Collection[type[Message]]) -> bool:
    kind = type(one.event.data)
    return kind in only if only else kind not in but


def waves(stories: Sequence[Story], count: int) -> list[list[Letter]]:
    """Whole stories in so many portions, to be published one after the other."""
    return [letters(stories[number::count]) for number in range(count)]


def spread(stories: Sequence[Story], count: int, said: Collection[str]) -> list[list[Letter]]:
    """What is not ``said`` yet, by id, in so many portions; the next word of a story comes in a later one if it can."""
    portions: list[list[Letter]] = [[] for _ in range(count)]
    for number, story in enumerate(stories):
        left = [one for one in story.said if one.event.id not in said]
        for step, one in enumerate(left):
            portions[min(number % count + step, count - 1)].append(one)
    return portions


def sums(stories: Iterable[Story]) -> dict[tuple[str, str], int]:
    """Minutes at the end by home and ref there; also of those who have no record."""
    found: dict[tuple[str, str], int] = {}
    for story in stories:
        found.setdefault((story.visit.home, story.visit.home_ref), 0)
        for record in story.records:
            key = record.home, record.home_ref
            found[key] = found.get(key, 0) + record.minutes
    return found
