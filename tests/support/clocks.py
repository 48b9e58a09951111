"""Clocks that tests set by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.chassis.base.clock import Clock

__all__ = ["HandClock", "SkewedClock"]


class HandClock(Clock):
    """Stands still until it is set."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment

    def now(self) -> datetime:
        return self.moment + self.offset


class SkewedClock(HandClock):
    """The clock of a service: off by ``offset`` from the one that all have."""

    def __init__(self, right: HandClock, offset: timedelta = timedelta()) -> None:
        Clock.__init__(self, offset)
        self._right = right

    def now(self) -> datetime:
        return self._right.moment + self.offset
