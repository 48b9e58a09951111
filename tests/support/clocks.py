"""A clock that tests set by hand."""

from __future__ import annotations

from datetime import datetime

from services.chassis.base.clock import Clock

__all__ = ["HandClock"]


class HandClock(Clock):
    """Stands still until it is set."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment

    def now(self) -> datetime:
        return self.moment + self.offset
