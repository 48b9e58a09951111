"""Events of a summer's crowd before it serves, in the registries' names: people link, sign up, and change their
minds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from random import Random

from contracts.envelope import Event
from contracts.messages import Message, shifts, signups, volunteers
from contracts.messages.base import AgeBand, Consent
from contracts.messages.service import shanghai_day
from contracts.messages.shifts import Place
from contracts.topics import registry_source, registry_topic_for
from deploy.operate.lines import Letter
from deploy.tryout.demo.world import CAMPAIGN, REGISTRIES, Shift, Volunteer, World, rush_size

__all__ = [
    "Standing",
    "at_home",
    "latecomers",
    "letter",
    "links",
    "offers",
    "second_thoughts",
    "sign_ups",
    "window_at_home",
]

_LATECOMERS = 3
"""How many people at each host ask for a post in a shift of which the host has lowered the posts."""


@dataclass(frozen=True, slots=True, order=True)
class Standing:
    """A sign-up as the host of its shift knows it."""

    host: str
    shift_ref: str
    ref: str
    state: str
    asker: str
    signup_ref: str


def letter(registry: str, tag: str, time: datetime, message: Message) -> Letter:
    """An event in a registry's name. Its id follows from ``tag``, so the same act has the same id in each run."""
    source = registry_source(registry)
    topic = registry_topic_for(source, type(message))
    assert topic is not None
    return Letter(topic, Event(id=f"{registry}-summer-{tag}", source=source, time=time, data=message))


def offers(world: World) -> Iterator[Letter]:
    """All projects and shifts of the campaign."""
    for project in world.projects:
        host, opened = project.host, world.days_ago(31, hours=9)
        published = shifts.ProjectPublished(
            project_ref=project.ref,
            version=1,
            title=project.title,
            category=project.category,
            campaign=CAMPAIGN,
            organiser_ref=project.organiser_ref,
        )
        yield letter(host, f"{project.ref}-v1", opened, published)
        for shift in project.shifts:
            yield letter(host, f"{shift.shift_ref}-v1", opened, _published(world, shift, 1, shift.posts))


def _published(world: World, shift: Shift, version: int, posts: int) -> shifts.ShiftPublished:
    return shifts.ShiftPublished(
        project_ref=shift.project_ref,
        shift_ref=shift.shift_ref,
        version=version,
        starts_at=shift.starts_at,
        ends_at=shift.ends_at,
        signup_opens_at=world.days_ago(31, hours=10),
        signup_closes_at=shift.closes_at,
        posts=posts,
        waitlist_posts=shift.waitlist_posts,
        minimum_age=shift.minimum_age,
        place=Place(division_code=shift.place[0], text=shift.place[1]),
    )


def links(world: World) -> Iterator[Letter]:
    """Offers and requests. Some bring a wrong code. Others never link, and sign up all the same."""
    for one in (*world.linked, *world.mistaken):
        offer = volunteers.LinkOffered(
            volunteer_ref=one.home_ref,
            for_registry=one.host,
            code_hash=sha256(one.code.encode()).hexdigest(),
            age_band=one.age_band,
            guardian_approved=one.guardian_approved,
            consent=Consent(version=1, given_at=one.offered_at),
            expires_at=one.offered_at + timedelta(minutes=30),
        )
        yield letter(one.home, f"offer-{one.home_ref}", one.offered_at, offer)
    wrong = {one.home_ref for one in world.mistaken}
    for one in (*world.linked, *world.mistaken):
        code = one.code[::-1] if one.home_ref in wrong else one.code
        request = volunteers.LinkRequested(volunteer_ref=one.host_ref, home=one.home, home_ref=one.home_ref, code=code)
        yield letter(one.host, f"request-{one.host_ref}", one.offered_at + timedelta(minutes=2), request)
    for one in world.strangers:
        shift = world.random("stranger", one.host_ref).choice(world.shifts(one.host, "ordinary"))
        yield _asked(world, one, shift, at=one.host)


def window_at_home(world: World, one: Volunteer) -> tuple[str, datetime, datetime] | None:
    """The windows of her shifts at home, by shift. Every twentieth volunteer has one, on a day of its own."""
    if one.place % 20 != 3:
        return None
    starts_at = world.days_ago(1, hours=9)
    return f"{one.home}-own-{one.place:05d}", starts_at, starts_at + timedelta(hours=2)


def at_home(world: World) -> Iterator[Letter]:
    """Windows in which people are busy at home. Some serve there; some want a post elsewhere at the same time."""
    for one in world.linked:
        window = window_at_home(world, one)
        if window is not None:
            yield _reported(one, *window)
        clashing = _clash_with_home(world, one)
        if clashing is not None:
            yield _reported(one, f"{one.home}-school-{one.place:05d}", clashing.starts_at, clashing.ends_at)


def _reported(one: Volunteer, shift_ref: str, starts_at: datetime, ends_at: datetime) -> Letter:
    report = signups.SignupReported(
        signup_ref=f"{one.home}-u-{shift_ref}",
        volunteer_ref=one.home_ref,
        host=one.home,
        project_ref=f"{one.home}-own",
        shift_ref=shift_ref,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    return letter(one.home, f"report-{shift_ref}", starts_at - timedelta(days=2), report)


def _clash_with_home(world: World, one: Volunteer) -> Shift | None:
    if one.place % 50 != 14:
        return None
    return world.random("busy", one.home_ref).choice(world.shifts(one.host, "ordinary"))


def sign_ups(world: World) -> Iterator[Letter]:
    """Everyone asks for one or two posts, at home or at the host. Some ask for a post that they cannot have."""
    overlapping = {host: _overlapping(world.shifts(host, "ordinary")) for host in REGISTRIES}
    visitors: defaultdict[str, int] = defaultdict(int)
    for one in world.linked:
        visitors[one.host] += 1
    for one in world.linked:
        rng = world.random("signup", one.home_ref)
        wanted = _wanted(world, one, rng, visitors[one.host], overlapping[one.host])
        for shift in dict.fromkeys(wanted):
            late = one.place % 20 == 7 and shift is wanted[0]
            at = rng.choice((one.home, one.host))
            yield _asked(world, one, shift, at=at, time=shift.closes_at + timedelta(minutes=10) if late else None)


def _wanted(
    world: World, one: Volunteer, rng: Random, visitors: int, overlapping: list[tuple[Shift, Shift]]
) -> list[Shift]:
    ordinary = world.shifts(one.host, "ordinary")
    wanted: list[Shift] = []
    if one.place < rush_size(visitors):
        wanted += world.shifts(one.host, "rush")
    if one.age_band.youngest < 18 and one.place % 10 == 0:
        wanted.append(rng.choice(world.shifts(one.host, "adults")))
    busy = _clash_with_home(world, one)
    if busy is not None:
        wanted.append(busy)
    if one.place % 25 == 12 and overlapping:
        wanted += rng.choice(overlapping)
    taken = {shanghai_day(shift.starts_at) for shift in wanted}
    for _ in range(1 if rng.random() < 0.7 else 2):
        shift = rng.choice(ordinary)
        if shanghai_day(shift.starts_at) not in taken:
            taken.add(shanghai_day(shift.starts_at))
            wanted.append(shift)
    return wanted


def _overlapping(ordinary: Iterable[Shift]) -> list[tuple[Shift, Shift]]:
    """Pairs of shifts of different projects at the same time."""
    together: dict[tuple[date, bool], list[Shift]] = defaultdict(list)
    for shift in ordinary:
        together[shanghai_day(shift.starts_at), shift.morning].append(shift)
    return [(group[0], group[1]) for group in together.values() if len({shift.project_ref for shift in group[:2]}) == 2]


def _asked(world: World, one: Volunteer, shift: Shift, *, at: str, time: datetime | None = None) -> Letter:
    """One click in the app of registry ``at``, at the given time or at some time while sign-up is open."""
    if time is None:
        rng, opened = world.random("asked", one.host_ref, shift.shift_ref), world.days_ago(28)
        span = (shift.closes_at - opened).total_seconds()
        time = opened + timedelta(seconds=rng.uniform(0, span - 7200))
    signup_ref = f"{at}-u-{shift.shift_ref}-{one.ref_at(at)}"
    request = signups.SignupRequested(
        signup_ref=signup_ref,
        volunteer_ref=one.ref_at(at),
        host=shift.host,
        project_ref=shift.project_ref,
        shift_ref=shift.shift_ref,
    )
    return letter(at, f"ask-{signup_ref}", time, request)


def second_thoughts(world: World, standing: Sequence[Standing]) -> Iterator[Letter]:
    """Posts are given back: a third of those for which others wait, and a few more. And hosts lower the posts of
    shifts."""
    by_ref = {one.host_ref: one for one in world.linked}
    for number, signup in enumerate(sorted(signup for signup in standing if signup.state == "confirmed")):
        one, shift = by_ref.get(signup.ref), world.shift(signup.host, signup.shift_ref)
        if one is None or shift is None:
            continue
        if number % (3 if shift.kind == "rush" else 40) == 0:
            withdrawn = signups.SignupWithdrawn(
                signup_ref=signup.signup_ref,
                volunteer_ref=one.ref_at(signup.asker),
                host=signup.host,
                project_ref=shift.project_ref,
                shift_ref=shift.shift_ref,
            )
            time = shift.closes_at - timedelta(minutes=30)
            yield letter(signup.asker, f"back-{signup.signup_ref}", time, withdrawn)
    for shift, taken in _fullest(world, standing):
        lowered = _published(world, shift, 2, taken // 2)
        yield letter(shift.host, f"{shift.shift_ref}-v2", shift.closes_at - timedelta(minutes=25), lowered)


def latecomers(world: World, standing: Sequence[Standing]) -> Iterator[Letter]:
    """Some ask for a post of a full shift: its host has lowered the posts below the number that was given."""
    known = {(signup.host, signup.ref, _day(world, signup)) for signup in standing}
    for shift, _ in _fullest(world, standing):
        day = shanghai_day(shift.starts_at)
        free = [
            one
            for one in world.linked
            if one.host == shift.host
            and one.age_band is AgeBand.ADULT
            and (shift.host, one.host_ref, day) not in known
            and _clash_with_home(world, one) is None
        ]
        for one in free[-_LATECOMERS:]:
            yield _asked(world, one, shift, at=one.home, time=shift.closes_at - timedelta(minutes=15))


def _fullest(world: World, standing: Sequence[Standing]) -> Iterator[tuple[Shift, int]]:
    """For each host the ordinary shift in which most people have a post, and how many they are."""
    taken = Counter((signup.host, signup.shift_ref) for signup in sorted(standing) if signup.state == "confirmed")
    for host in REGISTRIES:
        of_host = [(taken[host, shift.shift_ref], shift) for shift in world.shifts(host, "ordinary")]
        most, shift = max(of_host, key=lambda pair: pair[0])
        if most:
            yield shift, most


def _day(world: World, signup: Standing) -> date | None:
    shift = world.shift(signup.host, signup.shift_ref)
    return None if shift is None else shanghai_day(shift.starts_at)
