"""Who and what there is in a run: volunteers, and shifts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.support.said import Shift

__all__ = ["Cast", "Volunteer"]


@dataclass
class Volunteer:
    """A person with a home and a host, by number; refs never change."""

    number: int
    home: str
    host: str
    consent: int = 0
    codes: int = 0

    def ref(self, code: str) -> str:
        return f"{code}-{'home' if code == self.home else 'guest'}-{self.number}"


class Cast:
    """Who and what there is: volunteers of both homes, and shifts of both hosts that overlap and follow each other."""

    def __init__(self, now: datetime) -> None:
        self.volunteers = [Volunteer(n, *(("sz", "gz") if n % 3 else ("gz", "sz"))) for n in range(6)]
        starts = (1.5, 2.5, 3.5, 4.5)
        self.shifts = [
            Shift(host, f"P{n % 2}", f"H{n}", now + timedelta(hours=start), hours=2)
            for host in ("gz", "sz")
            for n, start in enumerate(starts)
        ]

    def shift_of(self, host: str, salt: int) -> Shift:
        mine = [shift for shift in self.shifts if shift.host == host]
        return mine[salt % len(mine)]
