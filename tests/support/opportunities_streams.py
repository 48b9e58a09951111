"""Random streams over few shifts and few persons, so that everything meets everything."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from contracts.messages import Message
from contracts.messages.base import AgeBand
from tests.support.opportunities import BEFORE, DAY, close, hour, project, report, request, shift, withdraw

PERSONS = [UUID(int=number, version=4) for number in range(1, 6)]
SHIFTS = {
    ("gz", "p1", "s1"): (9, 12),
    ("gz", "p1", "s2"): (12, 14),
    ("gz", "p2", "s1"): (11, 13),
    ("sz", "p1", "s1"): (9, 10),
}
_keys = st.sampled_from(sorted(SHIFTS))
_persons = st.sampled_from(PERSONS)
_askers = st.sampled_from(["gz", "sz"])


@st.composite
def publishing(draw: st.DrawFn) -> Message:
    """A shift in some version; content belongs to the version or conflicts with it."""
    host, of, ref = key = draw(_keys)
    return shift(
        ref,
        of=of,
        host=host,
        version=draw(st.integers(1, 6)),
        window=SHIFTS[key] if draw(st.integers(0, 9)) else (9, 11),
        posts=draw(st.integers(0, 3)),
        waitlist=draw(st.integers(0, 4)),
        minimum_age=draw(st.sampled_from([0, 0, 0, 15, 16])),
        state=draw(st.sampled_from(["open", "open", "open", "open", "cancelled"])),
        closes=hour(23),
    )


@st.composite
def naming(draw: st.DrawFn) -> Message:
    """A project in some version, sometimes closed."""
    host, of, _ = draw(_keys)
    version = draw(st.integers(1, 6))
    return project(of, host=host, version=version, state=draw(st.sampled_from(["open", "open", "closed"])))


@st.composite
def requesting(draw: st.DrawFn) -> Message:
    """One click, sometimes the same one again."""
    host, of, ref = draw(_keys)
    age = draw(st.sampled_from([AgeBand.ADULT, AgeBand.ADULT, AgeBand.FROM_14, AgeBand.FROM_16]))
    own_ref = draw(st.sampled_from(["r-a", "r-b"]))
    guardian = draw(st.booleans())
    at_least = draw(st.sampled_from([None, None, 15]))
    about = {"of": of, "host": host, "asker": draw(_askers), "ref": own_ref}
    return request(draw(_persons), ref, **about, age=age, guardian=guardian, at_least=at_least)


@st.composite
def withdrawing(draw: st.DrawFn) -> Message:
    """A post, a place in line, a reported window or nothing."""
    host, of, ref = draw(_keys)
    return withdraw(draw(_persons), ref, of=of, host=host, asker=draw(_askers))


@st.composite
def closing(draw: st.DrawFn) -> Message:
    """The end of a line, also before its time: it may be told of long ago."""
    host, of, ref = draw(_keys)
    return close(ref, of=of, host=host)


@st.composite
def reporting(draw: st.DrawFn) -> Message:
    """Busy at home, in a shift that the linkage knows or in one of home's own."""
    window = draw(st.sampled_from([(8, 9), (9, 10), (9.5, 11.5), (13, 15)]))
    ref, of = draw(st.sampled_from([("s1", "p1"), ("own-1", "own"), ("own-2", "own")]))
    return report(draw(_persons), ref, of=of, window=window, state=draw(st.sampled_from(["active", "withdrawn"])))


_moments: st.SearchStrategy[datetime] = st.one_of(
    st.just(BEFORE), st.just(BEFORE), st.just(BEFORE), st.integers(0, 15 * 60).map(lambda m: DAY + timedelta(minutes=m))
)
steps = st.tuples(
    st.one_of(
        requesting(),
        requesting(),
        requesting(),
        requesting(),
        withdrawing(),
        publishing(),
        reporting(),
        reporting(),
        naming(),
        closing(),
    ),
    _moments,
)
"""A command and the time at which it is judged."""


def opening() -> list[Message]:
    """Every shift, open, with few posts and a line."""
    return [
        shift(ref, of=of, host=host, window=window, posts=1, waitlist=2, closes=hour(23))
        for (host, of, ref), window in SHIFTS.items()
    ]
