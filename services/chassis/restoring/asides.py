"""Messages set aside, in a replay: each is decided again at the moment at which a later life of the database did so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from services.chassis.base.database import Connection
from services.chassis.batch import set_aside
from services.chassis.batch.reasons import UNDER_WAY
from services.chassis.batch.set_aside import Aside
from services.chassis.restoring.merging import in_one_batch

__all__ = ["Asides", "Moments", "first_batch", "over"]

_AT_ONCE: Final = 1000
_NEW: Final = """SELECT * FROM set_aside WHERE seq > $1 AND reason = ANY($2) AND topic = ANY($3)
ORDER BY seq LIMIT $4"""
_READY: Final = "SELECT seq FROM set_aside WHERE reason = 'ready' AND topic = ANY($1) ORDER BY seq"
_QUEUES: Final = """SELECT * FROM set_aside WHERE subject IN (SELECT subject FROM set_aside WHERE seq = ANY($1))
ORDER BY seq LIMIT $2"""

Moments: TypeAlias = Callable[[Sequence[Aside]], Awaitable[Mapping[int, datetime]]]
"""Gives, by sequence, the moments at which a later life decided these messages."""


class Asides:
    """The replay moments of messages of these topics that are set aside: when a later life decided them.

    The moment is known where that decision said something. A message that is ready and has no replay moment is decided
    at once. A message that waits and has none waits on after the replay: nobody knows yet whether its fact comes.
    """

    def __init__(self, db: Connection, topics: Sequence[str], moments: Moments) -> None:
        self._db = db
        self._topics = list(topics)
        self._moments = moments
        self._replay_at: dict[int, datetime] = {}
        self._seen = 0

    @property
    def next(self) -> datetime | None:
        """The earliest replay moment."""
        return min(self._replay_at.values(), default=None)

    async def renew(self) -> None:
        """Learn of messages that were set aside since."""
        while rows := await set_aside.chosen(self._db, _NEW, self._seen, list(UNDER_WAY), self._topics, _AT_ONCE):
            self._seen = rows[-1].seq or 0
            moments = await self._moments(rows)
            self._replay_at |= moments

    async def ready(self) -> list[Aside]:
        """Rows that are ready and have no replay moment to come, with the rows that may follow at once."""
        ready = [row["seq"] for row in await self._db.fetch(_READY, self._topics)]
        return await self._queues([seq for seq in ready if seq not in self._replay_at], ())

    async def due(self, before: datetime | None) -> tuple[dict[int, datetime], list[Aside]]:
        """The replay moments that come next, by sequence (``first_batch``), and the rows to decide then, which may be
        more or fewer."""
        due = first_batch(self._replay_at, before)
        return due, await self._queues(list(due), due)

    def done(self, sequences: Iterable[int]) -> None:
        """The replay moments of these rows are over, whatever the decisions were."""
        for seq in sequences:
            del self._replay_at[seq]

    async def _queues(self, chosen: Sequence[int], due: Collection[int]) -> list[Aside]:
        """The chosen rows, with the rows of the same subjects, before and behind, that may be decided with them."""
        if not chosen:
            return []
        closed: set[str | None] = set()
        kept: list[Aside] = []
        for row in await set_aside.chosen(self._db, _QUEUES, list(chosen), _AT_ONCE):
            if not self._may(row, due):
                closed.add(row.subject)
            if row.subject not in closed:
                kept.append(row)
        return kept

    def _may(self, row: Aside, due: Collection[int]) -> bool:
        if row.record.topic not in self._topics:
            return False
        if row.seq in self._replay_at:
            return row.reason in UNDER_WAY and row.seq in due
        return row.reason in ("ready", "behind")


def first_batch(moments: Mapping[int, datetime], before: datetime | None) -> dict[int, datetime]:
    """Of these replay moments, by sequence: the earliest, and those after it that one batch decided with it. They stand
    in the order of the sequence, and ``before`` the moment at which something else happens."""
    due = dict[int, datetime]()
    last, latest = 0, datetime.max.replace(tzinfo=UTC)
    for moment, seq in sorted((moment, seq) for seq, moment in moments.items()):
        if due and (seq < last or not in_one_batch(latest, moment) or (before is not None and moment > before)):
            break
        due[seq], last, latest = moment, seq, moment
    return due


def over(rows: Sequence[Aside]) -> dict[str, datetime]:
    """By channels, a moment at which the waits of these rows are over: a later life heard these channels out."""
    return {row.brought_by: datetime.max.replace(tzinfo=UTC) for row in rows if row.brought_by is not None}
