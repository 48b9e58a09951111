"""The one clock of a process. Tests may set it; the production profile refuses to (settings)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["Clock"]


class Clock:
    """Wall time in UTC, shifted by ``offset`` in tests."""

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """This moment."""
        return datetime.now(UTC) + self.offset
