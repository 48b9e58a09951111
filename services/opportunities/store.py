"""The database of opportunities: its tables, and what a batch loads. Reading for others is in search.py."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from services.chassis.database import Batch
from services.chassis.decisions import States
from services.chassis.tables import Table
from services.opportunities.states import Outcome, Project, Shift, ShiftKey, Signup, windows_name

__all__ = ["OUTCOMES", "PROJECTS", "SHIFTS", "SIGNUPS", "Needs", "OpportunitiesStore", "Window"]

PROJECTS: Final = Table(Project, "project", key=("host", "project_ref"))
SHIFTS: Final = Table(Shift, "shift", key=("host", "project_ref", "shift_ref"))
SIGNUPS: Final = Table(Signup, "signup", key=("signup_id",), groups=("person", "shift", "in_line"))
OUTCOMES: Final = Table(Outcome, "signup_outcome", key=("decision", "signup_id"), append_only=True)

_PROJECTS = """
JOIN unnest($1::text[], $2::text[]) AS wanted(host, project_ref) USING (host, project_ref)
"""

_SHIFTS = """
JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted(host, project_ref, shift_ref)
USING (host, project_ref, shift_ref)
"""

_SIGNUPS = """
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

_LEAVING = """
SELECT DISTINCT person
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS emptied(host, project_ref, shift_ref, whole)
JOIN signup USING (host, project_ref, shift_ref)
WHERE signup.state <> 'withdrawn' AND (emptied.whole OR signup.state = 'waitlisted')
"""

Span: TypeAlias = tuple[datetime, datetime]


class Window(NamedTuple):
    """What a version of a shift says of its time and its posts."""

    span: Span
    posts: int


class OpportunitiesStore:
    """States by batch: three statements and the locks of persons, one more where shifts or lines are emptied."""

    tables: Sequence[Table[Any]] = (PROJECTS, SHIFTS, SIGNUPS, OUTCOMES)

    def needs(self) -> Needs:
        """Nothing yet."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Projects and shifts by key; sign-ups by id, and those that a decision may have to look at or move.

        These are: what the persons hold at the time of the batch's shifts, of each line as many heads as can be
        promoted, everyone of a shift that is cancelled or of a line that is closed, and of whoever may give a window
        back all reports that lost, with what they lose to.
        """
        db = batch.connection
        await PROJECTS.load(db, states, _PROJECTS, *_columns(needs.projects, 2))
        shifts = await SHIFTS.load(db, states, _SHIFTS, *_columns(needs.shifts, 3))
        known = {shift.key: shift for shift in shifts}
        # Sign-ups are read only once both their shift and their person are locked.
        freeing = set(needs.freeing)
        emptied = _columns([(*key, whole) for key, whole in needs.emptied.items()], 4)
        if needs.emptied:
            freeing |= {row[0] for row in await db.fetch(_LEAVING, *emptied)}
        await batch.lock(windows_name(person) for person in freeing | needs.taking)
        await SIGNUPS.load(
            db,
            states,
            _SIGNUPS,
            list(needs.signups),
            *_columns([(person, *span) for person, span in needs.spans(known).items()], 3),
            *_columns([(*key, heads) for key, heads in needs.heads(known).items()], 4),
            *emptied,
            list(freeing),
        )


class Needs:
    """What the messages of a batch need, gathered before asking."""

    def __init__(self) -> None:
        self.projects: set[tuple[str, str]] = set()
        self.shifts: set[ShiftKey] = set()
        self.signups: set[UUID] = set()
        self.emptied: dict[ShiftKey, bool] = {}
        """Whose people leave: all of them, or those in line."""
        self.taking: set[UUID] = set()
        """Persons whose time a request may take."""
        self.freeing: set[UUID] = set()
        """Persons whose time may come free, as far as the messages alone tell."""
        self.published: defaultdict[ShiftKey, list[Window]] = defaultdict(list)
        """Windows and posts of versions that come in this batch."""
        self.requested: list[tuple[UUID, ShiftKey]] = []
        """Persons who ask for shifts."""
        self.reported: list[tuple[UUID, Span]] = []
        """Persons who are busy at home, and when."""
        self.given_back: Counter[ShiftKey] = Counter()

    def spans(self, known: dict[ShiftKey, Shift]) -> dict[UUID, Span]:
        """For each person from when to when the batch may give her a window."""
        spans: dict[UUID, Span] = {}
        for person, span in self.reported:
            _widen(spans, person, span)
        for person, key in self.requested:
            for window in self.published.get(key, ()):
                _widen(spans, person, window.span)
            if (shift := known.get(key)) is not None:
                _widen(spans, person, (shift.starts_at, shift.ends_at))
        return spans

    def heads(self, known: dict[ShiftKey, Shift]) -> dict[ShiftKey, int]:
        """How many in line each shift may lose from its head: one by each withdrawal, and one to each free post."""
        heads: dict[ShiftKey, int] = {}
        for key in self.given_back.keys() | self.published.keys():
            shift = known.get(key)
            if shift is not None and shift.waitlisted:
                posts = max([shift.posts, *(window.posts for window in self.published.get(key, ()))])
                heads[key] = self.given_back[key] + max(0, posts - shift.confirmed)
        return heads


def _widen(spans: dict[UUID, Span], person: UUID, window: Span) -> None:
    known = spans.get(person, window)
    spans[person] = (min(known[0], window[0]), max(known[1], window[1]))


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one array per column, also when there are none."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns
