"""Events of a summer's crowd that serves: people come, leave, and are attested. Hosts and people change some of it
later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from contracts.messages import service, volunteers
from contracts.messages.base import Consent, EvidenceClass
from deploy.operate.lines import Letter
from deploy.tryout.demo.crowd import Standing, letter, window_at_home
from deploy.tryout.demo.world import Volunteer, World

__all__ = [
    "Served",
    "changes",
    "consent_withdrawn",
    "plan",
    "reviews",
    "served",
    "served_at_home",
    "to_credit",
    "without_a_post",
]

_ROW = 25
"""Of so many services in a row each unusual event happens to one, at its place."""
_NEVER_CAME, _NO_CHECK_IN, _TOO_LONG, _TWICE, _OUT_OF_ORDER = 2, 7, 11, 15, 19
_RAISED, _LOWERED, _REVOKED = 4, 9, 22


@dataclass(frozen=True, slots=True)
class Served:
    """A service as it happened. ``place`` decides which unusual event happens to it, if any."""

    volunteer: Volunteer
    host: str
    project_ref: str
    shift_ref: str
    place: int
    started_at: datetime
    ended_at: datetime
    break_minutes: int

    @property
    def ref(self) -> str:
        """Her number at the host."""
        return self.volunteer.ref_at(self.host)

    @property
    def record_ref(self) -> str:
        """The host's number of the record."""
        return f"{self.host}-r-{self.shift_ref}-{self.ref}"

    @property
    def ordinary(self) -> bool:
        """Whether nothing unusual happens to it, now or later."""
        special = {_NEVER_CAME, _NO_CHECK_IN, _TOO_LONG, _TWICE, _OUT_OF_ORDER, _RAISED, _LOWERED, _REVOKED}
        return self.place not in special and self.volunteer.place % 25 != 8


def plan(world: World, standing: Iterable[Standing]) -> list[Served]:
    """The services of all who have a post. They depend on the volunteer alone, so that the same seed gives nearly the
    same minutes."""
    by_ref = {one.host_ref: one for one in world.linked}
    found = []
    for signup in sorted(s for s in standing if s.state in ("confirmed", "promoted")):
        one, shift = by_ref.get(signup.ref), world.shift(signup.host, signup.shift_ref)
        if one is None or shift is None:
            continue
        rng = world.random("served", signup.ref, signup.shift_ref)
        place = (one.place + (3 if shift.kind == "rush" else 0)) % _ROW
        started_at = shift.starts_at + timedelta(minutes=rng.randrange(6))
        ended_at = shift.ends_at - timedelta(minutes=rng.randrange(11))
        if place == _TOO_LONG:
            ended_at = started_at + timedelta(hours=8, minutes=40)
        pause = rng.choice((0, 0, 10, 15))
        found.append(Served(one, shift.host, shift.project_ref, shift.shift_ref, place, started_at, ended_at, pause))
    return found


def to_credit(services: Sequence[Served], homes: Sequence[str]) -> Served | None:
    """A service that leads to one credit and nothing else, at the first of these homes that has such a service."""
    ordinary = [one for one in services if one.ordinary]
    return next((one for home in homes for one in ordinary if one.volunteer.home == home), None)


def served(services: Sequence[Served]) -> Iterator[Letter]:
    """Check-in, check-out and record of each service. Some are unusual, by their place."""
    for one in services:
        if one.place == _NEVER_CAME:
            continue
        if one.place == _NO_CHECK_IN:
            yield _attested(one, 1, evidence_class=EvidenceClass.ROSTER)
            continue
        yield from _presence(one)
        if one.place == _OUT_OF_ORDER:
            later = one.ended_at - timedelta(minutes=10)
            yield _attested(one, 2, ended_at=later, reason_code="correction")
        yield _attested(one, 1)
        if one.place == _TWICE:
            yield _attested(one, 1, record_ref=f"{one.record_ref}-again")


def served_at_home(world: World) -> Iterator[Letter]:
    """Services at home of linked people. They count for overlap and caps, and are credited nowhere else."""
    for one in world.linked:
        window = window_at_home(world, one)
        if window is not None:
            shift_ref, starts_at, ends_at = window
            own = Served(one, one.home, f"{one.home}-own", shift_ref, 0, starts_at, ends_at, 0)
            yield from _presence(own)
            yield _attested(own, 1)


def without_a_post(world: World, standing: Iterable[Standing]) -> Iterator[Letter]:
    """At each host one volunteer came without a post: her record is held."""
    by_ref = {one.host_ref: one for one in world.linked}
    for host in ("gz", "sz"):
        for signup in sorted(s for s in standing if s.host == host and s.state == "refused"):
            one, shift = by_ref.get(signup.ref), world.shift(host, signup.shift_ref)
            if one is not None and shift is not None and shift.kind == "rush":
                came = Served(one, host, shift.project_ref, shift.shift_ref, 0, shift.starts_at, shift.ends_at, 0)
                yield _attested(came, 1, evidence_class=EvidenceClass.ROSTER)
                break


def consent_withdrawn(world: World) -> Iterator[Letter]:
    """A few take back their consent before they serve."""
    for one in _wavering(world):
        data = volunteers.ConsentWithdrawn(volunteer_ref=one.home_ref, registry=one.host, version=1)
        yield letter(one.home, f"consent-{one.home_ref}-withdrawn", world.days_ago(20), data)


def changes(world: World, services: Sequence[Served]) -> Iterator[Letter]:
    """Corrections, lowerings and revocations. Every second volunteer who withdrew her consent gives it again."""
    for one in services:
        if one.place == _RAISED:
            yield _attested(one, 2, ended_at=one.ended_at + timedelta(minutes=12), reason_code="correction")
        elif one.place == _LOWERED:
            yield _attested(one, 2, ended_at=one.ended_at - timedelta(minutes=25), reason_code="partial_retract")
        elif one.place == _REVOKED:
            yield _attested(one, 2, revoked=True, reason_code="retract")
    for volunteer in _wavering(world):
        if volunteer.place % 50 == 8:
            time = world.days_ago(1)
            consent = Consent(version=2, given_at=time)
            data = volunteers.ConsentGiven(volunteer_ref=volunteer.home_ref, registry=volunteer.host, consent=consent)
            yield letter(volunteer.home, f"consent-{volunteer.home_ref}-again", time, data)


def reviews(services: Sequence[Served]) -> Iterator[Letter]:
    """Persons of the hosts decide about the records without a check-in. Most are approved, every fifth is not, and one
    leader of each host tries to approve what she attested herself."""
    tried: set[str] = set()
    for count, one in enumerate(one for one in services if one.place == _NO_CHECK_IN):
        if one.host not in tried:
            tried.add(one.host)
            yield _reviewed(one, f"{one.host}-leader", "approved")
        yield _reviewed(one, f"{one.host}-chief", "rejected" if count % 5 == 4 else "approved")


def _wavering(world: World) -> Iterator[Volunteer]:
    return (one for one in world.linked if one.place % 25 == 8)


def _presence(one: Served) -> Iterator[Letter]:
    where: dict[str, Any] = {
        "volunteer_ref": one.ref,
        "project_ref": one.project_ref,
        "shift_ref": one.shift_ref,
        "method": "scan",
    }
    came, left = one.started_at - timedelta(minutes=3), one.ended_at + timedelta(minutes=2)
    yield letter(one.host, f"in-{one.record_ref}", came, service.CheckedIn(at=came, **where))
    yield letter(one.host, f"out-{one.record_ref}", left, service.CheckedOut(at=left, **where))


def _attested(one: Served, version: int, record_ref: str | None = None, **more: Any) -> Letter:
    record: dict[str, Any] = {
        "record_ref": record_ref or one.record_ref,
        "version": version,
        "volunteer_ref": one.ref,
        "project_ref": one.project_ref,
        "shift_ref": one.shift_ref,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "break_minutes": one.break_minutes,
        "evidence_class": EvidenceClass.SCAN,
        "attested_by": f"{one.host}-leader",
    }
    data = service.ServiceAttested(**(record | more))
    time = one.ended_at + timedelta(minutes=20 * version)
    return letter(one.host, f"attest-{data.record_ref}-v{version}", time, data)


def _reviewed(one: Served, reviewer: str, outcome: Literal["approved", "rejected"]) -> Letter:
    data = service.ServiceReviewed(
        volunteer_ref=one.ref,
        project_ref=one.project_ref,
        shift_ref=one.shift_ref,
        record_ref=one.record_ref,
        version=1,
        reviewer=reviewer,
        tier="host",
        outcome=outcome,
        reason="sign_in_sheet_seen" if outcome == "approved" else "nobody_saw_her",
    )
    return letter(one.host, f"review-{one.record_ref}-{reviewer}", one.ended_at + timedelta(minutes=50), data)
