"""Opportunities' tables: projects, shifts with the posts given, sign-ups, and the askers of each sign-up."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, TypeAlias
from uuid import UUID

from contracts.messages import opportunities as messages
from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected, Key, OneOf
from deploy.audit.world import Line, Row

__all__ = ["opportunities"]

Allotted: TypeAlias = defaultdict[Key, list[tuple[int, int]]]
"""Shift → (offset of the command, posts), version by version."""

_GIVEN: Final = ("confirmed", "waitlisted")
_OF_SHIFT: Final = (
    "version",
    "starts_at",
    "ends_at",
    "signup_opens_at",
    "signup_closes_at",
    "posts",
    "waitlist_posts",
    "minimum_age",
    "state",
)
_NO_WISH: Final[Row] = {"clashed_at": None, "wanted_from": None, "wanted_to": None}
_OF_SIGNUP: Final = (
    "person",
    "host",
    "project_ref",
    "shift_ref",
    "starts_at",
    "ends_at",
    "asker",
    "signup_ref",
    "origin",
)


def opportunities(book: Book) -> Iterator[Expected]:
    """All of them."""
    project, shift, allotted = _published(book)
    signups = _Signups(book, allotted)
    for line in book.published("opportunities.events.v1"):
        signups.fact(line)
    for key, (row, line) in list(shift.rows.items()):
        counts = {state: len(signups.given[key][state]) for state in _GIVEN}
        # Given posts are never more than the allotted posts, unless the host has lowered these since.
        capacity = max(row["posts"], counts["confirmed"])
        shift.put(line, *key, **counts, capacity=capacity, last_position=signups.places[key])
    yield from (project, shift, signups.signup, signups.outcome)


def _published(book: Book) -> tuple[Expected, Expected, Allotted]:
    """Projects and shifts, and the allotted posts of each shift from each command on."""
    project = Expected("opportunities", "project", ("host", "project_ref"))
    shift = Expected("opportunities", "shift", ("host", "project_ref", "shift_ref"))
    allotted: Allotted = defaultdict(list)
    refused = {book.origin(line.data) for line in book.of(messages.CommandRefused)}
    for line in book.of(messages.PublishProject, messages.PublishShift):
        command = line.data
        if book.origin(command) in refused or book.stands_aside(line, "opportunities"):
            continue
        key: Key
        if isinstance(command, messages.PublishShift):
            table, key = shift, (command.host, command.project_ref, command.shift.shift_ref)
            columns = _shift(command)
        else:
            table, key = project, (command.host, command.project_ref)
            columns = _project(command)
        before = table.column(key, "version")
        if before is None or before < columns["version"]:
            table.put(line, *key, **columns)
            if table is shift:
                allotted[key].append((line.offset, columns["posts"]))
    return project, shift, allotted


def _project(command: messages.PublishProject) -> Row:
    said = command.project
    campaign: Row = {"campaign_ref": None, "campaign_title": None}
    if said.campaign is not None:
        campaign = {"campaign_ref": said.campaign.ref, "campaign_title": said.campaign.title}
    return {name: getattr(said, name) for name in ("version", "title", "category", "organiser_ref", "state")} | campaign


def _shift(command: messages.PublishShift) -> Row:
    said = command.shift
    place = {"division_code": said.place.division_code, "place_text": said.place.text}
    return {name: getattr(said, name) for name in _OF_SHIFT} | place


class _Signups:
    """Sign-ups while events are gone through, in the order of each project."""

    def __init__(self, book: Book, allotted: Allotted) -> None:
        self._book = book
        self._allotted = allotted
        self.signup = Expected("opportunities", "signup", ("signup_id",))
        self.outcome = Expected("opportunities", "signup_outcome", ("signup_id", "outcome"), numbered=True)
        self.places: defaultdict[Key, int] = defaultdict(int)
        """Shift → how many places in line were given."""
        self.given: defaultdict[Key, dict[str, set[UUID]]] = defaultdict(lambda: {state: set() for state in _GIVEN})
        """Shift → the persons who have a post, and those in line."""

    def fact(self, line: Line) -> None:
        """One event."""
        match line.data:
            case messages.SignupConfirmed():
                self._given(line, "confirmed")
            case messages.SignupWaitlisted():
                self._given(line, "waitlisted")
            case messages.SignupPromoted():
                self._promoted(line)
            case messages.SignupNoted():
                self._noted(line)
            case messages.SignupRefused():
                self._refused(line)
            case messages.SignupWithdrawn():
                self._withdrawn(line)

    def _given(self, line: Line, state: str) -> None:
        """A post or a place in line is given. Another asker of the same sign-up is only told its state, and its later
        changes."""
        if self._state(line) in _GIVEN:
            self.signup.put(line, line.data.signup_id, state=state)
            self._also_asked(line)
            return
        if state == "waitlisted":
            self.places[_key(line)] += 1
        self._stands(line, state, self.places[_key(line)] if state == "waitlisted" else None)
        self.given[_key(line)][state].add(line.data.signup_id)
        self._told(line, state)

    def _noted(self, line: Line) -> None:
        """A reported window stands. A window that stood already moves, and keeps its first asker."""
        fact = line.data
        if self._state(line) != "reported":
            self._stands(line, "reported", None)
            return
        self.signup.put(line, fact.signup_id, starts_at=fact.starts_at, ends_at=fact.ends_at, **_NO_WISH)
        self._also_asked(line)

    def _also_asked(self, line: Line) -> None:
        """One sign-up may be asked for under several numbers. The row has the first number."""
        fact, key = line.data, (line.data.signup_id,)
        row = self.signup.rows[key][0]
        also = row.get("also_asked", [])
        if [fact.asker, fact.signup_ref] not in ([row.get("asker"), row.get("signup_ref")], *(ask[:2] for ask in also)):
            self.signup.put(line, fact.signup_id, also_asked=[*also, [fact.asker, fact.signup_ref, fact.origin]])

    def _promoted(self, line: Line) -> None:
        if self._state(line) == "confirmed":
            return  # told to another asker
        self.given[_key(line)]["waitlisted"].discard(line.data.signup_id)
        self.given[_key(line)]["confirmed"].add(line.data.signup_id)
        self.signup.put(line, line.data.signup_id, **self._of(line), state="confirmed", position=None)
        self._told(line, "promoted")

    def _stands(self, line: Line, state: str, position: int | None, **wish: Any) -> None:
        columns = {name: getattr(line.data, name) for name in _OF_SIGNUP}
        columns |= {"state": state, "position": position, "also_asked": []}
        self.signup.put(line, line.data.signup_id, **columns, **_NO_WISH | wish)

    def _of(self, line: Line) -> Row:
        """The columns of a sign-up that was never told before, which is I5's to find."""
        known = (line.data.signup_id,) in self.signup.rows
        return {} if known else {name: getattr(line.data, name) for name in _OF_SIGNUP}

    def _refused(self, line: Line) -> None:
        """A reported window that clashes is kept, until the other window ends."""
        fact, cause = line.data, self._book.cause(line)
        if cause is None or not isinstance(cause.data, messages.ReportSignup):
            self._told(line, "refused")
        elif fact.reason == "clash":
            assert cause.event is not None
            since = self.signup.column((fact.signup_id,), "clashed_at") or cause.event.time
            wish = {"clashed_at": since, "wanted_from": fact.starts_at, "wanted_to": fact.ends_at}
            if self._state(line) != "reported":
                self._stands(line, "clashed", None, **wish)
                return
            self.signup.put(line, fact.signup_id, **wish)
            self._also_asked(line)

    def _withdrawn(self, line: Line) -> None:
        before = self._state(line)
        self.signup.put(line, line.data.signup_id, **self._of(line), state="withdrawn", position=None, **_NO_WISH)
        if before in _GIVEN:
            self.given[_key(line)][before].discard(line.data.signup_id)
            self._told(line, "withdrawn")

    def _state(self, line: Line) -> Any:
        return self.signup.column((line.data.signup_id,), "state")

    def _told(self, line: Line, outcome: str) -> None:
        assert line.event is not None
        columns: Row = {"reason": getattr(line.data, "reason", None), "decided_at": line.event.time}
        if outcome in ("confirmed", "promoted"):
            # The count is kept beside each post, so that an overbooking which is mended later stays visible.
            columns |= {"posts": self._posts(line), "confirmed": len(self.given[_key(line)]["confirmed"])}
        else:
            columns |= {"posts": None, "confirmed": None}
        self.outcome.append(line, line.data.signup_id, outcome, **columns)

    def _posts(self, line: Line) -> Any:
        """The allotted posts in force for the command that led to it. A command that waited for its shift may have met
        any version."""
        versions, cause = self._allotted[_key(line)], self._book.cause(line)
        at = 0 if cause is None else bisect_right(versions, cause.offset, key=lambda version: version[0])
        return versions[at - 1][1] if at else OneOf(posts for _, posts in versions)


def _key(line: Line) -> Key:
    return (line.data.host, line.data.project_ref, line.data.shift_ref)
