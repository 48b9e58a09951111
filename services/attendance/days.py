"""The records of a person that count on one Shanghai day, in order, so that a record is compared with neighbours
only."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from services.attendance.states import RecordKey, Standing

__all__ = ["Counted"]

_Span: TypeAlias = tuple[datetime, datetime, RecordKey]


class Counted:
    """The counted records of a day in order of time. No two of them overlap."""

    def __init__(self, rows: Iterable[Standing]) -> None:
        self.by_signup: dict[UUID, RecordKey] = {}
        self.minutes = 0
        self._spans: list[_Span] = []
        for row in rows:
            self.add(row)

    def add(self, row: Standing) -> None:
        """The record counts from now on."""
        if (span := _span(row)) is not None and row.counted_signup is not None:
            insort(self._spans, span)
            self.by_signup[row.counted_signup] = row.key
            self.minutes += row.counted_minutes or 0

    def remove(self, row: Standing) -> None:
        """The record, in this state, counts no longer."""
        if (span := _span(row)) is not None and row.counted_signup is not None:
            self._spans.remove(span)
            del self.by_signup[row.counted_signup]
            self.minutes -= row.counted_minutes or 0

    def overlaps(self, own: RecordKey, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether another record than ``own`` counts in part of this time. Spans that touch do not overlap."""
        return any(key != own for key in self._between(starts_at, ends_at))

    def near(self, own: RecordKey, starts_at: datetime, ends_at: datetime, travel: timedelta) -> bool:
        """Whether a record of another registry counts so near to this time that nobody could travel in between."""
        return any(host != own[0] for host, _ in self._between(starts_at - travel, ends_at + travel))

    def _between(self, starts_at: datetime, ends_at: datetime) -> Iterator[RecordKey]:
        at = bisect_left(self._spans, (ends_at,)) - 1
        while at >= 0 and self._spans[at][1] > starts_at:
            yield self._spans[at][2]
            at -= 1


def _span(row: Standing) -> _Span | None:
    # Either both are there or neither: the table checks this.
    if row.counted_from is None or row.counted_to is None:
        return None
    return (row.counted_from, row.counted_to, row.key)
