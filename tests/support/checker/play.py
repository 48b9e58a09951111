"""Messages of registries in the small run, in the days before it. Their ids follow from their order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from contracts.envelope import Event
from contracts.messages import Message, service, shifts, signups, volunteers
from contracts.messages.base import AgeBand, Consent, EvidenceClass
from contracts.messages.shifts import Campaign, Category, Place
from contracts.topics import registry_source, registry_topic_for
from deploy.operate.lines import Letter

__all__ = ["Play"]

_ADULT, _MINOR = AgeBand.ADULT, AgeBand.FROM_16
_PEOPLE: Final = {
    # ref at home: (home, host, ref at the host, age band, guardian)
    "sz-ann": ("sz", "gz", "gz-ann", _ADULT, False),
    "sz-bo": ("sz", "gz", "gz-bo", _MINOR, True),
    "sz-chu": ("sz", "gz", "gz-chu", _MINOR, False),
    "sz-eve": ("sz", "gz", "gz-eve", _ADULT, False),
    "sz-hua": ("sz", "gz", "gz-hua", _ADULT, False),
    "gz-dan": ("gz", "sz", "sz-dan", _ADULT, False),
    "gz-fay": ("gz", "sz", "sz-fay", _ADULT, False),
    "gz-jun": ("gz", "sz", "sz-jun", _ADULT, False),
    "sz-kim": ("sz", "gz", "gz-kim", _ADULT, False),
}
_IVY: Final = "sz-ivy"
"""A volunteer whose code somebody tries to guess before she brings it."""


class Play:
    """Makes events in the days before ``now``. Their ids follow from their content."""

    def __init__(self, now: datetime) -> None:
        self.monday = (now - timedelta(days=10)).replace(hour=1, minute=0, second=0, microsecond=0)  # 09:00 there
        self._number = 0

    def at(self, day: float, hours: float = 0) -> datetime:
        """Days and hours after Monday morning."""
        return self.monday + timedelta(days=day, hours=hours)

    def say(self, code: str, day: float, message: Message) -> Letter:
        """An event in a registry's name."""
        self._number += 1
        source = registry_source(code)
        topic = registry_topic_for(source, type(message))
        assert topic is not None
        return Letter(topic, Event(f"{code}-{self._number:04}", source, self.at(day), message))

    def offer(self, ref: str, home: str, host: str, band: AgeBand = _ADULT, guardian: bool = False) -> Letter:
        """An offer with consent. Its code follows from the ref."""
        said = volunteers.LinkOffered(
            volunteer_ref=ref,
            for_registry=host,
            code_hash=sha256(_code(ref).encode()).hexdigest(),
            age_band=band,
            guardian_approved=guardian,
            consent=Consent(version=1, given_at=self.at(-2)),
            expires_at=self.at(3),
        )
        return self.say(home, -2, said)

    def request(self, host: str, host_ref: str, home: str, home_ref: str, code: str | None = None) -> Letter:
        """A request with her code, or with another code."""
        code = code or _code(home_ref)
        said = volunteers.LinkRequested(volunteer_ref=host_ref, home=home, home_ref=home_ref, code=code)
        return self.say(host, -2, said)

    def links(self) -> Iterable[Letter]:
        """Offers with consent, and requests with the code. One request has another volunteer's code, and one has no
        offer."""
        for ref, (home, host, host_ref, band, guardian) in _PEOPLE.items():
            yield self.offer(ref, home, host, band, guardian)
            yield self.request(host, host_ref, home, ref)
        yield self.request("gz", "gz-gus", "sz", "sz-ann", "w" * 43)
        yield self.request("gz", "gz-lou", "sz", "sz-lou")
        yield self.offer(_IVY, "sz", "gz")

    def guess(self) -> Letter:
        """Somebody guesses the code of a volunteer who has been offered."""
        return self.request("gz", "gz-imp", "sz", _IVY, "x" * 43)

    def late_link(self) -> Letter:
        """She brings her code herself."""
        return self.request("gz", "gz-ivy", "sz", _IVY)

    def break_or_restore(self, code: str, ref: str, other: str, day: int, *, broken: bool) -> Letter:
        """One side breaks the link, or restores it."""
        if broken:
            return self.say(
                code, day, volunteers.LinkBroken(volunteer_ref=ref, registry=other, reason="volunteer_asked")
            )
        return self.say(code, day, volunteers.LinkRestored(volunteer_ref=ref, registry=other))

    def consent(self, code: str, ref: str, host: str, day: int, version: int, *, given: bool) -> Letter:
        """A home gives or withdraws consent."""
        if given:
            consent = Consent(version=version, given_at=self.at(day))
            return self.say(code, day, volunteers.ConsentGiven(volunteer_ref=ref, registry=host, consent=consent))
        return self.say(code, day, volunteers.ConsentWithdrawn(volunteer_ref=ref, registry=host, version=version))

    def offers(self) -> Iterable[Letter]:
        """Projects and shifts. Two shifts of gz overlap, and have few posts."""
        for code, project in (("gz", "river"), ("gz", "park"), ("sz", "first-aid")):
            yield self.project(code, project)
        yield self.shift("gz", "river", "river-tue", 1, posts=2)
        yield self.shift("gz", "river", "river-wed", 2, posts=9)
        yield self.shift("gz", "park", "park-tue", 1, posts=9)
        yield self.shift("gz", "park", "park-thu", 3, posts=9)
        yield self.shift("gz", "park", "park-sat", 5, posts=1)
        yield self.shift("gz", "park", "park-sun", 6, posts=9)
        yield self.shift("sz", "first-aid", "aid-wed", 2, posts=5)
        yield self.shift("sz", "first-aid", "aid-fri", 4, posts=5)
        yield self.shift("sz", "first-aid", "aid-sat", 5, posts=5)

    def project(self, code: str, ref: str, version: int = 1, campaign: str | None = None) -> Letter:
        """A project whose title is its ref."""
        said = shifts.ProjectPublished(
            project_ref=ref,
            version=version,
            title=ref,
            category=Category.ECOLOGY,
            organiser_ref="org-1",
            campaign=None if campaign is None else Campaign(ref=campaign, title=campaign),
        )
        return self.say(code, -2, said)

    def shift(
        self,
        code: str,
        project: str,
        ref: str,
        day: int,
        *,
        posts: int,
        version: int = 1,
        said: float = -2,
        **more: Any,
    ) -> Letter:
        """A shift of three hours from nine o'clock. ``said``: the day on which the host says it."""
        message = shifts.ShiftPublished(
            project_ref=project,
            shift_ref=ref,
            version=version,
            starts_at=self.at(day),
            ends_at=self.at(day, 3),
            signup_opens_at=self.at(-3),
            signup_closes_at=self.at(day, -1),
            posts=posts,
            waitlist_posts=3,
            place=Place(division_code="440104", text="there"),
            **more,
        )
        return self.say(code, said, message)

    def ask(self, code: str, ref: str, host: str, project: str, shift: str, **more: Any) -> Letter:
        """A sign-up, given back with ``back=True``, on another day with ``day``."""
        kind = signups.SignupWithdrawn if more.get("back") else signups.SignupRequested
        said = kind(signup_ref=f"{ref}-{shift}", volunteer_ref=ref, host=host, project_ref=project, shift_ref=shift)
        return self.say(code, more.get("day", -1), said)

    def busy(self, code: str, ref: str, shift: str, day: int, hour: float = 0) -> Letter:
        """A window at home."""
        starts, ends = self.at(day, hour), self.at(day, hour + 3)
        where: dict[str, Any] = {"volunteer_ref": ref, "project_ref": "own", "shift_ref": shift}
        return self.say(
            code,
            -1,
            signups.SignupReported(signup_ref=f"{shift}-1", host=code, starts_at=starts, ends_at=ends, **where),
        )

    def presence(self, code: str, ref: str, project: str, shift: str, day: int) -> Iterable[Letter]:
        """A check-in and a check-out."""
        where: dict[str, Any] = {"volunteer_ref": ref, "project_ref": project, "shift_ref": shift, "method": "scan"}
        yield self.say(code, day, service.CheckedIn(at=self.at(day, 0), **where))
        yield self.say(code, day + 1, service.CheckedOut(at=self.at(day, 3), **where))

    def serve(self, code: str, ref: str, project: str, shift: str, day: int) -> Iterable[Letter]:
        """A check-in, a check-out, and an attestation as version 1."""
        yield from self.presence(code, ref, project, shift, day)
        yield self.attest(code, ref, project, shift, day)

    def attest(self, code: str, ref: str, project: str, shift: str, day: int, **more: Any) -> Letter:
        """A service record, of 165 minutes if not said otherwise."""
        said: dict[str, Any] = {
            "record_ref": f"{ref}-{shift}-r",
            "version": 1,
            "volunteer_ref": ref,
            "project_ref": project,
            "shift_ref": shift,
            "started_at": self.at(day),
            "ended_at": self.at(day, 3),
            "break_minutes": 15,
            "evidence_class": EvidenceClass.SCAN,
        }
        return self.say(code, day + 1, service.ServiceAttested(**(said | more)))

    def at_home(self) -> Iterable[Letter]:
        """She serves at home too, twice on one day: without a post, and without a transfer."""
        for shift, hour in (("own-am", 0), ("own-pm", 5)):
            starts, ends = self.at(3, hour), self.at(3, hour + 3)
            yield self.busy("gz", "gz-dan", shift, 3, hour)
            where: dict[str, Any] = {"volunteer_ref": "gz-dan", "project_ref": "own", "shift_ref": shift}
            yield self.say("gz", 4, service.CheckedIn(at=starts, method="scan", **where))
            yield self.attest("gz", "gz-dan", "own", shift, 3, started_at=starts, ended_at=ends)


def _code(ref: str) -> str:
    return sha256(ref.encode()).hexdigest()[:43]
