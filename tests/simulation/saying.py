"""What registries say at a step: mostly what fits together, and now and then what does not."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from contracts.messages import Message, volunteers
from tests.simulation.cast import Cast, Volunteer
from tests.simulation.registry import Registry
from tests.support.said import (
    Shift,
    attested,
    consent_given,
    consent_withdrawn,
    offered,
    presence,
    project,
    requested,
)

__all__ = ["said_by"]

_GIVEN: Final = ("confirmed", "promoted")
_WHERE_SHE_SERVES: Final = ("came", "left", "attested", "revoked")
_MINUTES: Final = (30, 45, 60, 90, 120, 180)


def said_by(kind: str, salt: int, cast: Cast, registries: dict[str, Registry], now: datetime) -> tuple[str, Any] | None:
    """Which registry says what at this step; None where it has nothing to say."""
    random = Random(salt)
    who = cast.volunteers[salt % len(cast.volunteers)]
    home, host = who.home, who.host
    home_ref, host_ref = who.ref(home), who.ref(host)
    # Mostly one of the two that she serves at, so that what is said of her fits together.
    shift = cast.shift_of(host, who.number + random.choice((0, 0, 0, 0, 2, 2, 2, 2, 1)))
    either = random.choice((home, host))
    if kind in _WHERE_SHE_SERVES:
        who, shift = _serves(registries[host], cast, who, shift, random)
        host_ref = who.ref(host)
    code = f"code-{who.number}-{who.codes}"
    signup_ref = f"N-{who.number}-{shift.ref}-{either}"
    match kind:
        case "offer":
            who.codes += 1
            who.consent += 1
            return home, offered(home_ref, host, now, code=f"code-{who.number}-{who.codes}", version=who.consent)
        case "request":
            if random.random() < 0.04:  # the number of somebody else
                host_ref = cast.volunteers[random.randrange(len(cast.volunteers))].ref(host)
            return host, requested(host_ref, home, home_ref, code=code if random.random() < 0.95 else "wrong")
        case "consent_given":
            who.consent += 1
            return home, consent_given(home_ref, host, who.consent, now)
        case "consent_withdrawn":
            return home, consent_withdrawn(home_ref, host, max(1, who.consent))
        case "link_broken":
            other = host if either == home else home
            return either, volunteers.LinkBroken(
                volunteer_ref=who.ref(either), registry=other, reason="volunteer_asked"
            )
        case "link_restored":
            other = host if either == home else home
            return either, volunteers.LinkRestored(volunteer_ref=who.ref(either), registry=other)
        case "project":
            return host, project(shift.names["project_ref"], 1)
        case "shift":
            return host, _published(shift, random)
        case "signup":
            return either, shift.requested(who.ref(either), signup_ref)
        case "signup_withdrawn":
            return either, shift.withdrawn(who.ref(either), signup_ref)
        case "reported":
            own = cast.shift_of(home, random.getrandbits(8))
            state = random.choice(("active", "active", "withdrawn"))
            return home, own.reported(home_ref, f"W-{who.number}-{own.ref}", state)
        case "came" | "left":
            moment = min(now, shift.starts_at + timedelta(minutes=random.randrange(100)))
            return host, presence(shift, host_ref, moment, out=kind == "left")
        case "attested":
            said = _attested(registries[host], shift, who, random.getrandbits(8), now)
        case _:
            said = _revoked(registries[host], shift, who, random)
    return None if said is None else (host, said)


def _published(shift: Shift, random: Random) -> Message:
    """The next version of a shift."""
    shift.version += 1
    posts, waitlist = random.choice(((1, 2), (1, 2), (2, 1), (3, 3)))
    return shift.published(shift.version, posts=posts, waitlist=waitlist, cancelled=random.random() < 0.03)


def _serves(registry: Registry, cast: Cast, who: Volunteer, shift: Shift, random: Random) -> tuple[Volunteer, Shift]:
    """Mostly somebody who has a post here, as far as it was told, and that post."""
    posts = [told for told in registry.signups.values() if told.host == registry.code and told.state in _GIVEN]
    if not posts or random.random() < 0.15:
        return who, shift
    told = random.choice(posts)
    refs = {one.ref(registry.code): one for one in cast.volunteers}
    shifts = {(one.host, one.ref): one for one in cast.shifts}
    return refs[told.volunteer_ref], shifts[told.host, told.shift_ref]


def _attested(registry: Registry, shift: Shift, who: Volunteer, salt: int, now: datetime) -> Message | None:
    """A version of her record of a shift, once the time is over that it speaks of; or of a second record of it."""
    minutes = _MINUTES[salt % len(_MINUTES)]
    past = int((now - shift.starts_at).total_seconds() // 60)
    if past < _MINUTES[0]:
        return None
    ref = f"R-{who.number}-{shift.ref}" + ("-again" if salt // len(_MINUTES) % 8 == 0 else "")
    version = registry.records[ref] = registry.records.get(ref, 0) + 1
    said = attested(shift, who.ref(registry.code), ref, version, min(minutes, past))
    registry.attested[ref, version] = said
    return said


def _revoked(registry: Registry, shift: Shift, who: Volunteer, random: Random) -> Message | None:
    """A record of hers of a shift counts no longer."""
    refs = [ref for end in ("", "-again") if (ref := f"R-{who.number}-{shift.ref}{end}") in registry.records]
    if not refs:
        return None
    ref = random.choice(refs)
    version = registry.records[ref] = registry.records[ref] + 1
    last = registry.attested[ref, version - 1]
    said = attested(shift, who.ref(registry.code), ref, version, last.minutes, revoked=True)
    registry.attested[ref, version] = said
    return said
