"""Posts and windows: I4 nobody is in two places, I5 no shift is overbooked and its line keeps its order, I19 minors."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias
from uuid import UUID

from contracts.messages import attendance, opportunities, shifts, volunteers
from contracts.messages.base import AgeBand
from deploy.audit.book import Book, RecordKey
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line, code_of

__all__ = ["minors", "no_overbooking", "no_overlap"]

ShiftKey: TypeAlias = tuple[str, str, str]
_GIVEN = (opportunities.SignupConfirmed, opportunities.SignupPromoted)
_OCCUPIES = (*_GIVEN, opportunities.SignupWaitlisted, opportunities.SignupNoted)
_EVENTS = "opportunities.events.v1"


class _Spans:
    """The counted spans of one person, by begin. While no two of them overlap, only neighbours can overlap a new
    span."""

    def __init__(self) -> None:
        self._sorted: list[tuple[datetime, datetime, RecordKey]] = []
        self._of: dict[RecordKey, tuple[datetime, datetime, RecordKey]] = {}
        self._overlap = False

    def remove(self, key: RecordKey) -> None:
        """The span counts no longer."""
        if (span := self._of.pop(key, None)) is not None:
            del self._sorted[bisect_left(self._sorted, span)]

    def add(self, key: RecordKey, begin: datetime, end: datetime) -> list[RecordKey]:
        """The span counts. Gives the spans that it overlaps."""
        at = bisect_left(self._sorted, (begin, end, key))
        near = self._sorted if self._overlap else self._sorted[max(0, at - 1) : at + 1]
        found = [other for starts, ends, other in near if starts < end and begin < ends]
        # A long span covers several spans. From here on all spans are compared with each new span.
        if found and not self._overlap:
            self._overlap = True
            found = [other for starts, ends, other in self._sorted if starts < end and begin < ends]
        self._of[key] = (begin, end, key)
        self._sorted.insert(at, self._of[key])
        return found


def no_overlap(book: Book) -> Iterator[Violation]:
    """I4: no two counted spans of a person overlap at any moment, and no two windows of hers overlap at the end."""
    counted: defaultdict[UUID, _Spans] = defaultdict(_Spans)
    for line in book.facts:
        fact = line.data
        if isinstance(fact, attendance.ServiceHeld):
            continue
        spans, key = counted[fact.person], (fact.host, fact.record.record_ref)
        spans.remove(key)
        if isinstance(fact, attendance.ServiceConfirmed):
            for host, ref in spans.add(key, fact.record.started_at, fact.record.ended_at):
                yield at(book, "I4", line, f"this record overlaps record {ref} of {host}, and both records count")
    yield from _no_two_windows(book)


def _no_two_windows(book: Book) -> Iterator[Violation]:
    holds: dict[UUID, Line] = {}
    for line in book.published(_EVENTS):
        if isinstance(line.data, _OCCUPIES):
            holds[line.data.signup_id] = line
        elif isinstance(line.data, opportunities.SignupWithdrawn):
            holds.pop(line.data.signup_id, None)
    windows: defaultdict[UUID, list[tuple[datetime, datetime, Line]]] = defaultdict(list)
    for line in holds.values():
        if line.data.starts_at is not None and line.data.ends_at is not None:
            windows[line.data.person].append((line.data.starts_at, line.data.ends_at, line))
    for mine in windows.values():
        mine.sort(key=lambda window: window[:2])
        for (_, ends, _), (starts, _, line) in pairwise(mine):
            if starts < ends:
                yield at(book, "I4", line, "the windows of two sign-ups of this person overlap")


@dataclass(slots=True)
class _Shift:
    """A shift while its stream is replayed. ``versions``: (offset of the command, what the host published)."""

    versions: list[tuple[int, shifts.ShiftPublished]] = field(default_factory=list)
    holds: set[UUID] = field(default_factory=set)
    line: OrderedDict[UUID, None] = field(default_factory=OrderedDict)
    frontier: int = -1

    def in_force(self, cause: int) -> list[shifts.ShiftPublished]:
        """The versions that may be in force for a decision of the command at this offset. It is one version, unless the
        command waited."""
        first = self.versions[0][0]
        waited = cause < first
        self.frontier = max(self.frontier, cause, first)
        known = bisect_right(self.versions, self.frontier if waited else cause, key=lambda version: version[0])
        rest = self.versions[known:] if waited else []
        return [said for _, said in (*self.versions[known - 1 : known], *rest)]

    @property
    def head(self) -> UUID | None:
        """The first person in line."""
        return next(iter(self.line), None)


def no_overbooking(book: Book) -> Iterator[Violation]:
    """I5: at each moment no post is given beyond those that the host allots then. The line is served in its order."""
    shifts_by_key = _published(book)
    commands = {x.id: x for x in book.published("opportunities.commands.v1")}
    for line in book.published(_EVENTS):
        fact = line.data
        if isinstance(fact, opportunities.CommandRefused | opportunities.SignupNoted):
            continue
        shift = shifts_by_key.get((fact.host, fact.project_ref, fact.shift_ref))
        if shift is None:
            if isinstance(fact, _OCCUPIES):
                yield at(book, "I5", line, "this sign-up is for a shift that the host never published")
            continue
        assert line.event is not None
        cause = commands.get(line.event.causation or "")
        allowed = shift.in_force(cause.offset if cause is not None else line.offset)
        yield from _step(book, shift, allowed, line)


def _published(book: Book) -> dict[ShiftKey, _Shift]:
    """The versions that took effect, in the host's own words and in the order of the project's stream."""
    found: dict[ShiftKey, _Shift] = {}
    refused = {book.origin(line.data) for line in book.of(opportunities.CommandRefused)}
    for line in book.of(opportunities.PublishShift):
        command = line.data
        said = book.first.get(book.origin(command))
        if said is None or book.origin(command) in refused:
            continue
        shift = found.setdefault((command.host, command.project_ref, said.data.shift_ref), _Shift())
        if not shift.versions or said.data.version > shift.versions[-1][1].version:
            shift.versions.append((line.offset, said.data))
    return found


def _step(book: Book, shift: _Shift, allowed: list[shifts.ShiftPublished], line: Line) -> Iterator[Violation]:
    fact, signup = line.data, line.data.signup_id
    posts = max(said.posts if said.state == "open" else 0 for said in allowed)
    places = max(said.waitlist_posts for said in allowed)
    if isinstance(fact, opportunities.SignupWithdrawn):
        shift.holds.discard(signup)
        shift.line.pop(signup, None)
    elif isinstance(fact, opportunities.SignupWaitlisted) and signup not in shift.line:
        if signup in shift.holds:
            yield at(book, "I5", line, "this sign-up has a post already, and was put in line")
        shift.line[signup] = None
        if len(shift.line) > places:
            yield at(book, "I5", line, f"{len(shift.line)} sign-ups are in line, but the host allows {places}")
    elif isinstance(fact, _GIVEN) and signup not in shift.holds:
        promoted = isinstance(fact, opportunities.SignupPromoted)
        if shift.line and (not promoted or shift.head != signup):
            yield at(book, "I5", line, f"sign-up {shift.head} is before this sign-up in line")
        elif promoted and not shift.line:
            yield at(book, "I5", line, "this sign-up was promoted, but it was in no line")
        shift.line.pop(signup, None)
        shift.holds.add(signup)
        if len(shift.holds) > posts:
            yield at(book, "I5", line, f"{len(shift.holds)} sign-ups have a post, but the host allots {posts} posts")


def minors(book: Book) -> Iterator[Violation]:
    """I19: no minor gets a post without her guardian's word, and nobody below the minimum age of the shift does."""
    offered: defaultdict[tuple[str, str], set[tuple[AgeBand, bool]]] = defaultdict(set)
    for line in book.of(volunteers.LinkOffered):
        offered[code_of(line.topic), line.data.volunteer_ref].add((line.data.age_band, line.data.guardian_approved))
    ages = {key: min(v.minimum_age for _, v in shift.versions) for key, shift in _published(book).items()}
    for line in book.of(opportunities.SignupConfirmed, opportunities.SignupWaitlisted):
        command = book.cause(line)
        if command is None or not isinstance(command.data, opportunities.RequestSignup):
            continue
        band, approved = command.data.age_band, command.data.guardian_approved
        if (band, approved) not in offered[book.home_of.get(command.data.person, ("", ""))]:
            stamp = f"age_band {band.value} and guardian_approved {str(approved).lower()}"
            yield at(book, "I19", command, f"the command has {stamp}, but no offer of her home says so")
        elif band is not AgeBand.ADULT and not approved:
            yield at(
                book,
                "I19",
                line,
                f"a minor ({band.value}) has a post or a place in line without her guardian's approval",
            )
        elif max(band.youngest, command.data.at_least or 0) < ages.get(
            (line.data.host, line.data.project_ref, line.data.shift_ref), 0
        ):
            yield at(
                book,
                "I19",
                line,
                f"a person ({band.value}) has a post or a place in line below the minimum age of the shift",
            )
