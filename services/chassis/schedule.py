"""What a service does by itself: its jobs, each at a time of day in Shanghai or every so often. Pure.

A moment for which a job is due is a *due*. Each due is done once over all processes of the service, in order, also the
dues that passed while no process ran (``scheduling.py``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from contracts.messages.service import SHANGHAI, shanghai_day
from services.chassis.clock import Clock
from services.chassis.database import Batch, Connection
from services.chassis.decisions import Send

__all__ = ["Job", "Run"]

_ANCHOR: Final = datetime(2000, 1, 1, tzinfo=SHANGHAI)
"""Dues of ``every`` are counted from a midnight in Shanghai, so that they do not depend on when a process started."""


@dataclass(slots=True)
class Run:
    """One portion of a due while it is done: all of it is committed, or none."""

    db: Connection
    """In a transaction that the chassis commits. Each of its statements has 30 s."""
    due: datetime
    clock: Clock
    now: datetime = field(init=False)
    """When it is decided: the moment of the last ``lock``, or of its begin."""
    sends: list[Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the clock."""
        self.now = self.clock.now()

    @property
    def day(self) -> date:
        """The Shanghai day of the due. A job that is due at midnight runs when this day begins."""
        return shanghai_day(self.due)

    async def lock(self, names: Iterable[str]) -> set[str]:
        """Lock the subjects of what it changes, once and before it reads their rows; gives those that are parked.

        What was decided about them before has an earlier moment. Rows that are changed without this make the batches
        that have loaded them be decided again, which counts as overtaken.
        """
        parked = await Batch(self.db).lock(names)
        self.now = self.clock.now()
        return parked

    def send(self, *sends: Send) -> None:
        """These messages go out with what the job changes. Their ids follow from job, due, portion and place: give them
        in an order that follows from the rows, so that a restored service says the same under each id."""
        self.sends.extend(sends)


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is due ``at`` a time of each day in Shanghai, or ``every`` so often: one of the two.

    ``name`` stands in the database and in ids: it never changes, and never comes back for another job. ``run`` decides
    for a due, by statements over all rows that it concerns; it gives True where a further portion is left, so that no
    transaction is long.
    ``each``: every due that passed is done, in order; otherwise, of several that passed, the last one alone.
    """

    name: str
    run: Callable[[Run], Awaitable[bool]]
    at: time | None = None
    every: timedelta | None = None
    each: bool = True

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a job that is never due, or in another place's time."""
        if (self.at is None) == (self.every is None):
            raise ValueError(f"job {self.name}: either `at` or `every`")
        if self.at is not None and self.at.tzinfo is not None:
            raise ValueError(f"job {self.name}: `at` is a time in Shanghai and has no zone of its own")
        if self.every is not None and self.every <= timedelta():
            raise ValueError(f"job {self.name}: `every` goes forward")

    def first(self, now: datetime) -> datetime:
        """The first due after this moment: of a job that was never done."""
        if self.every is not None:
            return _ANCHOR + ((now - _ANCHOR) // self.every + 1) * self.every
        today = self._on(shanghai_day(now))
        return today if today > now else self.after(today)

    def after(self, due: datetime) -> datetime:
        """The due that follows this one. Of a day there is one, also where ``at`` has become another time since."""
        return self.first(due) if self.every is not None else self._on(shanghai_day(due) + timedelta(days=1))

    def last(self, due: datetime, now: datetime) -> datetime:
        """The last due that is not after this moment, ``due`` being one of them."""
        return max(due, self.first(now) - self._step)

    def missed(self, due: datetime, now: datetime) -> int:
        """How many dues have passed, ``due`` being the first of them; 0 while it is to come."""
        return max(0, -((due - self.first(now)) // self._step))

    @property
    def _step(self) -> timedelta:
        return self.every or timedelta(days=1)  # no day in Shanghai is longer or shorter

    def _on(self, day: date) -> datetime:
        assert self.at is not None
        return datetime.combine(day, self.at, SHANGHAI)
