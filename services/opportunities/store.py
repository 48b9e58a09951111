"""The database of opportunities: its tables, and the rows that a batch loads. Questions of others are in search.py."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from services.chassis.base.database import Batch
from services.chassis.decisions import States
from services.chassis.tables import Table
from services.opportunities.states import Outcome, Project, Shift, ShiftKey, Signup, windows_name

__all__ = ["OUTCOMES", "PROJECTS", "SHIFTS", "SIGNUPS", "Needs", "OpportunitiesStore", "Window"]

PROJECTS: Final = Table(Project, "project", key=("host", "project_ref"))
SHIFTS: Final = Table(Shift, "shift", key=("host", "project_ref", "shift_ref"))
SIGNUPS: Final = Table(Signup, "signup", key=("signup_id",), groups=("person", "shift", "in_line"))
OUTCOMES: Final = Table(Outcome, "signup_outcome", key=("decision", "signup_id"), append_only=True)

_PROJECTS_NAMED = """
SELECT project.* FROM project
JOIN unnest($1::text[], $2::text[]) AS wanted(host, project_ref) USING (host, project_ref)
"""

_SHIFTS_NAMED = """
SELECT shift.* FROM shift
JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted(host, project_ref, shift_ref)
USING (host, project_ref, shift_ref)
"""

_SIGNUPS_TO_DECIDE = """
SELECT signup.* FROM signup
JOIN (
    SELECT unnest($1::uuid[]) AS signup_id
    UNION
    SELECT busy.signup_id
    FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS asked(person, starts_at, ends_at)
    JOIN signup AS busy
      ON busy.person = asked.person
     AND tstzrange(busy.starts_at, busy.ends_at) && tstzrange(asked.starts_at, asked.ends_at)
     AND busy.state IN ('confirmed', 'waitlisted', 'reported')
    UNION
    SELECT head.signup_id
    FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[]) AS line(host, project_ref, shift_ref, heads)
    CROSS JOIN LATERAL (
        SELECT waiting.signup_id FROM signup AS waiting
        WHERE (waiting.host, waiting.project_ref, waiting.shift_ref) = (line.host, line.project_ref, line.shift_ref)
          AND waiting.state = 'waitlisted'
        ORDER BY waiting.position LIMIT line.heads
    ) AS head
    UNION
    SELECT leaving.signup_id
    FROM unnest($9::text[], $10::text[], $11::text[], $12::boolean[]) AS emptied(host, project_ref, shift_ref, whole)
    JOIN signup AS leaving USING (host, project_ref, shift_ref)
    WHERE leaving.state <> 'withdrawn' AND (emptied.whole OR leaving.state = 'waitlisted')
    UNION
    SELECT lost.signup_id FROM signup AS lost WHERE lost.person = ANY($13) AND lost.clashed_at IS NOT NULL
    UNION
    SELECT busy.signup_id
    FROM signup AS lost
    JOIN signup AS busy
      ON busy.person = lost.person
     AND tstzrange(busy.starts_at, busy.ends_at) && tstzrange(lost.wanted_from, lost.wanted_to)
     AND busy.state IN ('confirmed', 'waitlisted', 'reported')
    WHERE lost.person = ANY($13) AND lost.clashed_at IS NOT NULL
) AS wanted USING (signup_id)
"""

_PERSONS_WHO_LEAVE = """
SELECT DISTINCT person
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS emptied(host, project_ref, shift_ref, whole)
JOIN signup USING (host, project_ref, shift_ref)
WHERE signup.state <> 'withdrawn' AND (emptied.whole OR signup.state = 'waitlisted')
"""

Span: TypeAlias = tuple[datetime, datetime]


class Window(NamedTuple):
    """The time and the posts of one version of a shift."""

    span: Span
    posts: int


class OpportunitiesStore:
    """A batch takes three statements and the locks of persons; one statement more where shifts or lines are emptied."""

    tables: Sequence[Table[Any]] = (PROJECTS, SHIFTS, SIGNUPS, OUTCOMES)

    def needs(self) -> Needs:
        """The needs of an empty batch."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load projects and shifts by key, and sign-ups by id or because a decision may have to read or change them.

        Such sign-ups are: those of the batch's persons at the time of the batch's shifts; of each line as many heads as
        can be promoted; all of a shift that is cancelled or of a line that is closed. Where a person may give a window
        back, they are also her reports that lost a clash, and the sign-ups to which these reports lost.
        """
        db = batch.connection
        await PROJECTS.load(db, states, _PROJECTS_NAMED, *_columns(needs.projects, 2))
        loaded = await SHIFTS.load(db, states, _SHIFTS_NAMED, *_columns(needs.shifts, 3))
        shifts = {shift.key: shift for shift in loaded}
        # Sign-ups are read only once both their shift and their person are locked.
        freeing = set(needs.freeing)
        emptied = _columns([(*key, whole) for key, whole in needs.emptied.items()], 4)
        if needs.emptied:
            freeing |= {row[0] for row in await db.fetch(_PERSONS_WHO_LEAVE, *emptied)}
        await batch.lock(windows_name(person) for person in freeing | needs.taking)
        await SIGNUPS.load(
            db,
            states,
            _SIGNUPS_TO_DECIDE,
            list(needs.signups),
            *_columns([(person, *span) for person, span in needs.spans(shifts).items()], 3),
            *_columns([(*key, heads) for key, heads in needs.heads(shifts).items()], 4),
            *emptied,
            list(freeing),
        )


class Needs:
    """What the messages of a batch need, gathered before the first statement."""

    def __init__(self) -> None:
        self.projects: set[tuple[str, str]] = set()
        self.shifts: set[ShiftKey] = set()
        self.signups: set[UUID] = set()
        self.emptied: dict[ShiftKey, bool] = {}
        """Shifts that sign-ups leave: all sign-ups (True), or those in line (False)."""
        self.taking: set[UUID] = set()
        """Persons to whom a request may give a window."""
        self.freeing: set[UUID] = set()
        """Persons who may give a window back, as far as the messages alone say it."""
        self.published: defaultdict[ShiftKey, list[Window]] = defaultdict(list)
        """Windows and posts of versions that come in this batch."""
        self.requested: list[tuple[UUID, ShiftKey]] = []
        """Persons who ask for shifts."""
        self.reported: list[tuple[UUID, Span]] = []
        """Persons who are busy at home, and when."""
        self.given_back: Counter[ShiftKey] = Counter()

    def spans(self, shifts: dict[ShiftKey, Shift]) -> dict[UUID, Span]:
        """For each person, the span in which the batch may give her a window."""
        spans: dict[UUID, Span] = {}
        for person, span in self.reported:
            _widen(spans, person, span)
        for person, key in self.requested:
            for window in self.published.get(key, ()):
                _widen(spans, person, window.span)
            if (shift := shifts.get(key)) is not None:
                _widen(spans, person, (shift.starts_at, shift.ends_at))
        return spans

    def heads(self, shifts: dict[ShiftKey, Shift]) -> dict[ShiftKey, int]:
        """How many sign-ups may leave the head of each shift's line: one by each withdrawal, one to each free post."""
        heads: dict[ShiftKey, int] = {}
        for key in self.given_back.keys() | self.published.keys():
            shift = shifts.get(key)
            if shift is not None and shift.waitlisted:
                posts = max([shift.posts, *(window.posts for window in self.published.get(key, ()))])
                heads[key] = self.given_back[key] + max(0, posts - shift.confirmed)
        return heads


def _widen(spans: dict[UUID, Span], person: UUID, window: Span) -> None:
    begin, end = spans.get(person, window)
    spans[person] = (min(begin, window[0]), max(end, window[1]))


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one array per column, also when there are none."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns
