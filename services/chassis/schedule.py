"""The jobs of a service: work that it begins by itself, at a time of day in Shanghai or every so often. Pure.

A *due* is a moment for which a job is due. All processes of the service together do each due once and in order, also
the dues that passed while no process ran (``scheduling.py``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from contracts.messages.service import SHANGHAI, shanghai_day
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, Connection
from services.chassis.decisions import Send

__all__ = ["Job", "Run"]

_ANCHOR: Final = datetime(2000, 1, 1, tzinfo=SHANGHAI)
"""Dues of ``every`` are counted from a midnight in Shanghai, so that they do not depend on when a process started."""


@dataclass(slots=True)
class Run:
    """One portion of a due while it is done. It is committed whole or not at all."""

    db: Connection
    """A connection with an open transaction, which the chassis commits. Each statement has 30 s."""
    due: datetime
    clock: Clock
    now: datetime = field(init=False)
    """The moment of the decision: that of the last ``lock``, or of the begin of the portion."""
    sends: list[Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the clock."""
        self.now = self.clock.now()

    @property
    def day(self) -> date:
        """The Shanghai day of the due. A job that is due at midnight runs when this day begins."""
        return shanghai_day(self.due)

    async def lock(self, names: Iterable[str]) -> set[str]:
        """Lock the subjects whose rows the job changes, once and before it reads these rows; gives the parked subjects.

        Earlier decisions about these subjects then have earlier moments. If a job changes rows without these locks, a
        batch that has loaded the rows is overtaken and decided again.
        """
        parked = await Batch(self.db).lock(names)
        self.now = self.clock.now()
        return parked

    def send(self, *sends: Send) -> None:
        """Send messages with the changes of the job. Their ids follow from job, due, portion and place. Their order
        must follow from the rows, so that a restored service sends the same message under each id."""
        self.sends.extend(sends)


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is due ``at`` a time of each day in Shanghai, or ``every`` so often: one of the two.

    ``name`` stands in the database and in ids: it never changes, and is never used again for another job. ``run``
    decides for a due by statements over all rows that the due concerns. It gives True where a further portion is left,
    so that no transaction is long.
    ``each``: every due that passed is done, in order; otherwise only the last of several dues that passed.
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
        """The first due after this moment, for a job that was never done."""
        if self.every is not None:
            return _ANCHOR + ((now - _ANCHOR) // self.every + 1) * self.every
        today = self._on(shanghai_day(now))
        return today if today > now else self.after(today)

    def after(self, due: datetime) -> datetime:
        """The due after this due. A day has one due, even if ``at`` has become another time since."""
        return self.first(due) if self.every is not None else self._on(shanghai_day(due) + timedelta(days=1))

    def last(self, due: datetime, now: datetime) -> datetime:
        """The last due that is not after this moment; ``due`` is a due of the job."""
        return max(due, self.first(now) - self._step)

    def missed(self, due: datetime, now: datetime) -> int:
        """How many dues have passed, of which ``due`` is the first; 0 while it is to come."""
        return max(0, -((due - self.first(now)) // self._step))

    @property
    def _step(self) -> timedelta:
        return self.every or timedelta(days=1)  # no day in Shanghai is longer or shorter

    def _on(self, day: date) -> datetime:
        assert self.at is not None
        return datetime.combine(day, self.at, SHANGHAI)
