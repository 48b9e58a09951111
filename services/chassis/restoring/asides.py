"""When what is set aside is decided again in a replay: when a later life of the database did so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from services.chassis import set_aside
from services.chassis.database import Connection
from services.chassis.reasons import UNDER_WAY
from services.chassis.restoring.merging import in_one_batch
from services.chassis.set_aside import Aside

__all__ = ["Asides", "Moments", "first_batch", "over"]

_AT_ONCE: Final = 1000
_NEW: Final = """SELECT * FROM set_aside WHERE seq > $1 AND reason = ANY($2) AND topic = ANY($3)
ORDER BY seq LIMIT $4"""
_READY: Final = "SELECT seq FROM set_aside WHERE reason = 'ready' AND topic = ANY($1) ORDER BY seq"
_LINES: Final = """SELECT * FROM set_aside WHERE subject IN (SELECT subject FROM set_aside WHERE seq = ANY($1))
ORDER BY seq LIMIT $2"""

Moments: TypeAlias = Callable[[Sequence[Aside]], Awaitable[Mapping[int, datetime]]]
"""By sequence, the moments at which a later life decided these messages."""


class Asides:
    """The turns of messages set aside, of these topics: the moments at which a later life decided them.

    A turn is known of what that life said something about. What is ready and has no turn is decided at once. What waits
    and has none waits on after the replay: nobody knows yet whether its fact comes.
    """

    def __init__(self, db: Connection, topics: Sequence[str], moments: Moments) -> None:
        self._db = db
        self._topics = list(topics)
        self._moments = moments
        self._turns: dict[int, datetime] = {}
        self._seen = 0

    @property
    def next(self) -> datetime | None:
        """The earliest turn."""
        return min(self._turns.values(), default=None)

    async def renew(self) -> None:
        """Learn of what was set aside since."""
        while rows := await set_aside.chosen(self._db, _NEW, self._seen, list(UNDER_WAY), self._topics, _AT_ONCE):
            self._seen = rows[-1].seq or 0
            turns = await self._moments(rows)
            self._turns |= turns

    async def ready(self) -> list[Aside]:
        """What is ready and has no turn of its own to come, with what may follow at once."""
        ready = [row["seq"] for row in await self._db.fetch(_READY, self._topics)]
        return await self._lines([seq for seq in ready if seq not in self._turns], ())

    async def due(self, before: datetime | None) -> tuple[dict[int, datetime], list[Aside]]:
        """Whose turn is next, with as many as were decided in one batch with it, in the order in which they stand, and
        ``before`` something else happens: their turns by sequence, and the rows to decide, which are more or fewer."""
        due = first_batch(self._turns, before)
        return due, await self._lines(list(due), due)

    def passed(self, sequences: Iterable[int]) -> None:
        """Their turn is over, whatever came of it."""
        for seq in sequences:
            del self._turns[seq]

    async def _lines(self, chosen: Sequence[int], due: Collection[int]) -> list[Aside]:
        """These, with those of their subjects before and behind them that may be decided with them."""
        if not chosen:
            return []
        closed: set[str | None] = set()
        kept: list[Aside] = []
        for row in await set_aside.chosen(self._db, _LINES, list(chosen), _AT_ONCE):
            if not self._may(row, due):
                closed.add(row.subject)
            if row.subject not in closed:
                kept.append(row)
        return kept

    def _may(self, row: Aside, due: Collection[int]) -> bool:
        if row.record.topic not in self._topics:
            return False
        if row.seq in self._turns:
            return row.reason in UNDER_WAY and row.seq in due
        return row.reason in ("ready", "behind")


def first_batch(turns: Mapping[int, datetime], before: datetime | None) -> dict[int, datetime]:
    """Of these turns by sequence the earliest, with those after it that were decided in one batch with it, in the order
    in which they stand, and ``before`` something else happens."""
    due = dict[int, datetime]()
    last, latest = 0, datetime.max.replace(tzinfo=UTC)
    for turn, seq in sorted((turn, seq) for seq, turn in turns.items()):
        if due and (seq < last or not in_one_batch(latest, turn) or (before is not None and turn > before)):
            break
        due[seq], last, latest = turn, seq, turn
    return due


def over(rows: Sequence[Aside]) -> dict[str, datetime]:
    """By channels, a moment at which the waits of these rows are over: a later life has heard their channels out."""
    return {row.brought_by: datetime.max.replace(tzinfo=UTC) for row in rows if row.brought_by is not None}
