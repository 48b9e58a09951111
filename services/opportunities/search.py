"""All SQL of the read API: open shifts page by page, campaigns, and the figures.

A search has the conditions that were asked for and no others, so its statement is put together here and is nowhere
whole: a plan for "any value, or $1" would use no index.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, AwareDatetime, TypeAdapter

from contracts.messages.base import Ref, RegistryCode
from services.chassis.base.database import Connection
from services.opportunities.states import ShiftKey

__all__ = ["CursorError", "Moment", "Query", "Row", "campaigns", "cursor_of", "figures", "find", "shift"]

Row: TypeAlias = dict[str, Any]

_SHIFT: Final = """
SELECT shift.host, shift.project_ref, shift.shift_ref, shift.starts_at, shift.ends_at, shift.signup_opens_at,
       shift.signup_closes_at, shift.posts, greatest(shift.posts - shift.confirmed, 0) AS free,
       shift.waitlist_posts, shift.waitlisted, shift.minimum_age, shift.division_code, shift.place_text, shift.state,
       project.title, project.category, project.campaign_ref, project.campaign_title, project.organiser_ref,
       project.state AS project_state
"""
_FROM: Final = "FROM shift JOIN project USING (host, project_ref)"
_ORDER: Final = "shift.starts_at, shift.host, shift.project_ref, shift.shift_ref"

_NEAR: Final = 2000
"""How many of the nearest shifts are looked through for words, before the index is asked."""
_HAS_WORD: Final = "(position({0}::text IN project.words) > 0 OR position({0}::text IN shift.words) > 0)"
# The shifts that have a word in their own words or in their project's. The index by pairs of characters leads to few
# rows, and only these are asked whether they have the word in one piece.
_WITH_WORD: Final = """(
    SELECT here.host, here.project_ref, here.shift_ref FROM shift AS here
     WHERE characters_and_pairs(here.words) @> {1}::text[] AND position({0}::text IN here.words) > 0
    UNION
    SELECT of_it.host, of_it.project_ref, of_it.shift_ref
      FROM project AS here JOIN shift AS of_it USING (host, project_ref)
     WHERE characters_and_pairs(here.words) @> {1}::text[] AND position({0}::text IN here.words) > 0)"""

_CAMPAIGNS: Final = """
SELECT project.host, project.campaign_ref AS ref, max(project.campaign_title) AS title,
       count(DISTINCT project.project_ref) AS projects, count(shift.shift_ref) AS shifts,
       coalesce(sum(shift.posts), 0)::bigint AS posts,
       coalesce(sum(greatest(shift.posts - shift.confirmed, 0)), 0)::bigint AS free
FROM project
LEFT JOIN shift ON (shift.host, shift.project_ref, shift.state) = (project.host, project.project_ref, 'open')
WHERE project.campaign_ref IS NOT NULL AND project.state = 'open'
GROUP BY project.host, project.campaign_ref ORDER BY project.host, project.campaign_ref
"""

# Overbooked: posts that were given above the allotment of that moment, corrected later or not, by the counter that the
# CHECK guards. If this counter is wrong, more sign-ups have a post now than the shift has posts: that number is counted
# from the sign-ups themselves.
_FIGURES: Final = """
SELECT (SELECT count(*) FROM project) AS projects,
       (SELECT count(DISTINCT campaign_ref) FROM project) AS campaigns,
       (SELECT count(*) FROM shift WHERE state = 'open') AS shifts,
       (SELECT coalesce(sum(posts), 0)::bigint FROM shift WHERE state = 'open') AS posts,
       (SELECT count(*) FROM signup_outcome WHERE outcome IN ('confirmed', 'waitlisted', 'refused')) AS requested,
       (SELECT count(*) FROM signup WHERE state = 'confirmed') AS confirmed,
       (SELECT count(*) FROM signup WHERE state = 'waitlisted') AS waitlisted,
       (SELECT count(*) FROM signup WHERE state = 'reported') AS reported,
       (SELECT count(*) FROM signup WHERE clashed_at IS NOT NULL) AS clashed,
       (SELECT count(*) FROM signup_outcome WHERE outcome = 'promoted') AS promoted,
       (SELECT count(*) FROM signup_outcome WHERE outcome = 'withdrawn') AS withdrawn,
       (SELECT coalesce(jsonb_object_agg(reason, n), '{}') FROM (
            SELECT reason, count(*) AS n FROM signup_outcome WHERE outcome = 'refused' GROUP BY reason) AS refusals
       ) AS refused,
       greatest(
           (SELECT count(*) FROM signup_outcome AS given WHERE given.confirmed > given.posts),
           (SELECT coalesce(sum(greatest(taken - coalesce(capacity, 0), 0)), 0)::bigint FROM (
                SELECT host, project_ref, shift_ref, count(*) AS taken FROM signup WHERE state = 'confirmed'
                GROUP BY host, project_ref, shift_ref) AS posts_taken
            LEFT JOIN shift USING (host, project_ref, shift_ref))) AS overbooked
"""


def _in_utc(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment that the database's driver can write: in UTC, too, it lies within the years 1 to 9999."""
_CURSOR: Final = TypeAdapter(tuple[Moment, RegistryCode, Ref, Ref])


class CursorError(ValueError):
    """A page was asked for with a cursor that no page gave."""


@dataclass(frozen=True, slots=True)
class Query:
    """The conditions of a search; None is no condition."""

    at: datetime
    """Shifts that have started at this moment, or take no sign-ups any more, are not found."""
    limit: int
    host: str | None = None
    district: str | None = None
    """Division code or the beginning of one (GB/T 2260: province, city, district by two digits each)."""
    since: datetime | None = None
    until: datetime | None = None
    category: str | None = None
    campaign: str | None = None
    text: str | None = None
    oldest_minimum_age: int | None = None
    busy: Sequence[tuple[datetime, datetime]] = ()
    include_full: bool = False
    include_line: bool = False
    """Full shifts that have a place in line."""
    open_now: bool = False
    """Only shifts whose sign-up is open at ``at``."""
    after: str | None = None


@dataclass(slots=True)
class _Conditions:
    parts: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def add(self, condition: str, *arguments: Any) -> None:
        """A condition with ``{0}``, ``{1}`` … where its arguments go; skipped when the first one is None."""
        if arguments and arguments[0] is None:
            return
        numbers = range(len(self.arguments) + 1, len(self.arguments) + len(arguments) + 1)
        self.parts.append(condition.format(*(f"${number}" for number in numbers)))
        self.arguments += arguments

    def clause(self) -> str:
        """All conditions so far. The next ones begin a new clause; the arguments stay."""
        parts, self.parts = self.parts, []
        return " AND ".join(parts)


def _add_in_time(where: _Conditions, query: Query) -> None:
    """Conditions for which the index in order of start serves."""
    where.add("shift.state = 'open'")
    where.add("shift.starts_at > {0}", query.at)
    where.add("shift.starts_at >= {0}", query.since)
    where.add("shift.starts_at < {0}", query.until)
    if query.after is not None:
        where.add(f"({_ORDER}) > ({{0}}, {{1}}, {{2}}, {{3}})", *_read_cursor(query.after))


def _add_rest(where: _Conditions, query: Query) -> None:
    where.add("project.state = 'open'")
    where.add("shift.signup_closes_at > {0}", query.at)
    where.add("shift.host = {0}", query.host)
    where.add("starts_with(shift.division_code, {0}::text)", query.district)
    where.add("project.category = {0}", query.category)
    where.add("project.campaign_ref = {0}", query.campaign)
    where.add("shift.minimum_age <= {0}", query.oldest_minimum_age)
    if query.open_now:
        where.add("shift.signup_opens_at <= {0}", query.at)
    if not query.include_full:
        line = " OR shift.waitlisted < shift.waitlist_posts" if query.include_line else ""
        where.add(f"(shift.confirmed < shift.posts{line})")
    if query.busy:
        where.add(
            "NOT EXISTS (SELECT FROM unnest({0}::timestamptz[], {1}::timestamptz[]) AS busy(starts_at, ends_at)"
            " WHERE busy.starts_at < shift.ends_at AND shift.starts_at < busy.ends_at)",
            [starts_at for starts_at, _ in query.busy],
            [ends_at for _, ends_at in query.busy],
        )


def words_of(text: str | None) -> list[str]:
    """The words of a question, each of which must be found. No other place makes a question comparable with titles."""
    return list(dict.fromkeys((text or "").lower().split()))


def characters_and_pairs(word: str) -> list[str]:
    """The entries that the index has for each row with this word. The database's function of this name makes them."""
    return sorted({*word, *(word[at : at + 2] for at in range(len(word) - 1))})


async def find(db: Connection, query: Query) -> list[Row]:
    """One page in order of start. Raises ``CursorError``.

    Where many shifts have a word, the nearest shifts fill the page; the index would first list all shifts that have it.
    """
    words = words_of(query.text)
    if not words:
        return await _page(db, query, _Conditions(), _FROM)
    if len(near := await _among_the_nearest(db, query, words)) == query.limit:
        return near
    where = _Conditions()
    for word in words:
        where.add(_WITH_WORD, word, characters_and_pairs(word))
    hits = " INTERSECT ".join(where.parts)
    where.parts.clear()
    return await _page(db, query, where, f"{_FROM} JOIN ({hits}) AS hit USING (host, project_ref, shift_ref)")


async def _page(db: Connection, query: Query, where: _Conditions, source: str) -> list[Row]:
    _add_in_time(where, query)
    _add_rest(where, query)
    return await _fetch(db, f"{_SHIFT} {source} WHERE {where.clause()}", query, where)


async def _among_the_nearest(db: Connection, query: Query, words: Iterable[str]) -> list[Row]:
    where = _Conditions()
    _add_in_time(where, query)
    near = f"SELECT * FROM shift WHERE {where.clause()} ORDER BY {_ORDER} LIMIT {_NEAR}"  # noqa: S608
    _add_rest(where, query)
    for word in words:
        where.add(_HAS_WORD, word)
    source = f"FROM ({near}) AS shift JOIN project USING (host, project_ref)"
    return await _fetch(db, f"{_SHIFT} {source} WHERE {where.clause()}", query, where)


async def _fetch(db: Connection, asked: str, query: Query, where: _Conditions) -> list[Row]:
    rows = await db.fetch(f"{asked} ORDER BY {_ORDER} LIMIT {int(query.limit)}", *where.arguments)
    return [dict(row) for row in rows]


async def shift(db: Connection, key: ShiftKey) -> Row | None:
    """One shift in any state; None when it or its project is not there."""
    row = await db.fetchrow(
        f"{_SHIFT} {_FROM} WHERE (shift.host, shift.project_ref, shift.shift_ref) = ($1, $2, $3)", *key
    )
    return None if row is None else dict(row)


async def campaigns(db: Connection) -> list[Row]:
    """Every campaign with its open projects and shifts."""
    return [dict(row) for row in await db.fetch(_CAMPAIGNS)]


async def figures(db: Connection) -> Row:
    """Counts over all rows, in one snapshot. It reads all sign-ups, so it is for operators and not for a page."""
    row = await db.fetchrow(_FIGURES)
    assert row is not None
    return dict(row) | {"refused": json.loads(row["refused"])}


def cursor_of(row: Row) -> str:
    """The value for ``after`` that goes on behind this row."""
    place = [row["starts_at"].isoformat(), row["host"], row["project_ref"], row["shift_ref"]]
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def _read_cursor(text: str) -> tuple[datetime, str, str, str]:
    try:
        return _CURSOR.validate_json(base64.urlsafe_b64decode(text.encode()))
    except ValueError as error:  # no base64, no JSON, or another content than pages give
        raise CursorError("after is no cursor of a page") from error
