"""The world of 志愿一夏, drawn from a seed: projects with shifts in both registries, and people who cross."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from random import Random
from typing import Final

from contracts.messages.base import AgeBand
from contracts.messages.service import SHANGHAI
from contracts.messages.shifts import Campaign, Category

__all__ = ["CAMPAIGN", "REGISTRIES", "Project", "Shift", "Volunteer", "World", "last_midnight", "make"]

REGISTRIES: Final = ("gz", "sz")
CAMPAIGN: Final = Campaign(ref="zhiyuan-yixia", title="志愿一夏")
PROJECTS_EACH: Final = 60
POSTS: Final = 95
_MOST_AGO, _LEAST_AGO, _RUSH_AGO = 19, 3, 2
"""How many days ago ordinary shifts are, and the rush shifts, which more people want than can have. A rush day has no
other shifts."""

_DISTRICTS: Final = {
    "gz": [
        ("440103", "荔湾区"),
        ("440104", "越秀区"),
        ("440105", "海珠区"),
        ("440106", "天河区"),
        ("440115", "南沙区"),
    ],
    "sz": [
        ("440303", "罗湖区"),
        ("440304", "福田区"),
        ("440305", "南山区"),
        ("440306", "宝安区"),
        ("440310", "坪山区"),
    ],
}
_THEMES: Final = [
    ("社区长者探访", Category.COMMUNITY),
    ("图书馆整架", Category.CULTURE),
    ("河涌巡护", Category.ECOLOGY),
    ("公园护绿", Category.ECOLOGY),
    ("地铁站引导", Category.CITY_SAFETY),
    ("消防宣传", Category.CITY_SAFETY),
    ("暑期课堂助教", Category.TALENT),
    ("博物馆讲解", Category.CULTURE),
    ("旧衣分拣", Category.COMMUNITY),
    ("红树林净滩", Category.ECOLOGY),
    ("共享菜园", Category.DEMO_PROJECT),
    ("应急演练", Category.CITY_SAFETY),
]
_BANDS: Final = {0: AgeBand.FROM_16, 5: AgeBand.FROM_16, 10: AgeBand.FROM_14, 19: AgeBand.UNDER_14}
"""The age band by place in a row of twenty. The other places are adults."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift as its host publishes it. Morning shifts of one day overlap each other."""

    host: str
    project_ref: str
    shift_ref: str
    starts_at: datetime
    ends_at: datetime
    posts: int
    waitlist_posts: int
    minimum_age: int
    place: tuple[str, str]
    kind: str
    """Ordinary, rush (few posts, and many people who want one), or adults (minimum age 18)."""

    @property
    def closes_at(self) -> datetime:
        """When sign-up ends."""
        return self.starts_at - timedelta(hours=1)

    @property
    def morning(self) -> bool:
        """Whether it is in the morning."""
        return self.starts_at.astimezone(SHANGHAI).hour < 12


@dataclass(frozen=True, slots=True)
class Project:
    """A project and its shifts."""

    host: str
    ref: str
    title: str
    category: Category
    organiser_ref: str
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class Volunteer:
    """A volunteer who serves in the other registry than her home. ``place`` is her place among the volunteers of the
    same direction."""

    home: str
    host: str
    place: int
    home_ref: str
    host_ref: str
    age_band: AgeBand
    guardian_approved: bool
    code: str
    offered_at: datetime

    def ref_at(self, registry: str) -> str:
        """Her number in this registry."""
        return self.home_ref if registry == self.home else self.host_ref


@dataclass(frozen=True)
class World:
    """Projects and people. The same seed, number of people and day give the same world."""

    seed: int
    midnight: datetime
    projects: tuple[Project, ...]
    linked: tuple[Volunteer, ...]
    strangers: tuple[Volunteer, ...]
    """Volunteers who have a host's number and never link."""
    mistaken: tuple[Volunteer, ...]
    """Volunteers who bring a wrong code."""
    _shifts: dict[str, list[Shift]] = field(default_factory=dict)
    _by_ref: dict[tuple[str, str], Shift] = field(default_factory=dict)

    def shifts(self, host: str, kind: str) -> list[Shift]:
        """A host's shifts of one kind."""
        key = f"{host}/{kind}"
        if key not in self._shifts:
            self._shifts[key] = [s for p in self.projects if p.host == host for s in p.shifts if s.kind == kind]
        return self._shifts[key]

    def shift(self, host: str, shift_ref: str) -> Shift | None:
        """The shift of this number; None when it is not of this world."""
        if not self._by_ref:
            self._by_ref.update({(s.host, s.shift_ref): s for p in self.projects for s in p.shifts})
        return self._by_ref.get((host, shift_ref))

    def random(self, *about: object) -> Random:
        """A random generator for one thing. It depends on the seed and on this thing alone, never on earlier draws."""
        return Random("/".join(map(str, (self.seed, *about))))

    def days_ago(self, days: int, **more: float) -> datetime:
        """A moment of the Shanghai day so many days ago."""
        return self.midnight - timedelta(days=days) + timedelta(**more)


def last_midnight(now: datetime) -> datetime:
    """The Shanghai midnight at which this day began. Everything simulated lies before it."""
    return now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)


def make(seed: int, people: int, midnight: datetime) -> World:
    """Draw a world with this number of linked people. Three of five live in the second registry."""
    rng = Random(f"{seed}/world")
    at_second = (people * 3 + 4) // 5
    ways = (("sz", "gz", at_second), ("gz", "sz", people - at_second))
    visitors = {host: count for _, host, count in ways}
    linked = [one for home, host, count in ways for one in _people(rng, midnight, home, host, "v", count)]
    few = max(2, people // 50)
    strangers = [one for home, host, _ in ways for one in _people(rng, midnight, home, host, "x", few)]
    mistaken = [one for home, host, _ in ways for one in _people(rng, midnight, home, host, "w", max(1, few // 2))]
    projects = [project for host in REGISTRIES for project in _projects(rng, midnight, host, visitors[host])]
    return World(seed, midnight, tuple(projects), tuple(linked), tuple(strangers), tuple(mistaken))


def _people(rng: Random, midnight: datetime, home: str, host: str, kind: str, count: int) -> Iterator[Volunteer]:
    for place in range(count):
        band = _BANDS.get(place % 20, AgeBand.ADULT)
        yield Volunteer(
            home=home,
            host=host,
            place=place,
            home_ref=f"{home}-{kind}{place:05d}",
            host_ref=f"{host}-guest-{kind}{place:05d}",
            age_band=band,
            guardian_approved=band is not AgeBand.ADULT and place % 20 != 5,
            code=base64.urlsafe_b64encode(rng.randbytes(24)).decode(),
            offered_at=midnight - timedelta(days=30) + timedelta(seconds=rng.randrange(24 * 3600)),
        )


def rush_size(visitors: int) -> int:
    """How many of this number of visitors want the same few posts."""
    return min(visitors, max(12, visitors // 25))


def _projects(rng: Random, midnight: datetime, host: str, visitors: int) -> Iterator[Project]:
    names = list(product(_DISTRICTS[host], _THEMES))
    for number, ((code, district), (theme, category)) in enumerate(names[:PROJECTS_EACH]):
        ref = f"{host}-p{number:03d}"
        kind = "rush" if number == 0 else "adults" if number in (1, 2) else "ordinary"
        posts = max(2, rush_size(visitors) // 3) if kind == "rush" else POSTS
        shifts = []
        for index in range(1 if kind == "rush" else 2):
            morning = (number + index) % 2 == 0
            days = _RUSH_AGO if kind == "rush" else rng.randint(_LEAST_AGO, _MOST_AGO)
            hour = 9 if morning else 14
            starts_at = midnight - timedelta(days=days) + timedelta(hours=hour, minutes=15 * rng.randrange(-2, 3))
            shifts.append(
                Shift(
                    host=host,
                    project_ref=ref,
                    shift_ref=f"{ref}-s{index}",
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(minutes=15 * rng.randint(6, 14)),
                    posts=posts,
                    waitlist_posts=posts if kind == "rush" else 10,
                    minimum_age=18 if kind == "adults" else 0,
                    place=(code, f"{district}{theme}服务点"),
                    kind=kind,
                )
            )
        title = f"{CAMPAIGN.title} · {district}{theme}"
        yield Project(host, ref, title, category, f"{host}-org-{number % 17:02d}", tuple(shifts))
