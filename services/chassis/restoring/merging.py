"""The order of a replay: records of several partitions in the order in which they were decided before. Pure.

The *replay moment* of a record is the moment at which the replay decides it. Where the first decision said something,
its message tells when it was made (``decidedat``). Where it said nothing, two things are known: when its record was
written, and often a moment after which it was passed (``passed``). A partition keeps its order. A message that came
back from ``set_aside`` was decided long after the messages behind it in the log: the replay decides it as early as
them, and it waits again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final, NamedTuple

from services.chassis.log.records import Record

__all__ = ["TOGETHER", "Merged", "Moment", "Taken", "in_one_batch"]

TOGETHER: Final = timedelta(milliseconds=100)
"""Records that were decided within this time are decided in one batch, unless the first of them may have made ready a
message that came between them."""
_ONE_BATCH: Final = timedelta(milliseconds=1)
"""Decisions of one batch are a microsecond apart, and a commit lies between two batches."""


def in_one_batch(earlier: datetime, later: datetime) -> bool:
    """Whether one batch made the decisions of these two moments. Otherwise a message that the earlier decision made
    ready, and whose own moment is not known, may have been decided between them."""
    return later - earlier <= _ONE_BATCH


class Moment(NamedTuple):
    """A record with the moment at which it was decided, or None where that is not known, and the earliest moment at
    which it can have been decided: when it was written, or passed."""

    record: Record
    decided_at: datetime | None
    written_at: datetime


class Taken(NamedTuple):
    """A record that the replay decides next. It is decided for good if its replay moment is the moment at which it was
    decided before."""

    record: Record
    replay_at: datetime
    decided_at: datetime | None
    overtaken: bool = False
    """Whether a record behind it, whose own moment is not known, was there before this record was decided. This record
    may have waited for just that one."""

    @property
    def final(self) -> bool:
        """Whether it is decided for good."""
        return self.replay_at == self.decided_at


class _PartitionAhead:
    """The records of one partition that are read ahead, each with its replay moment."""

    def __init__(self) -> None:
        self.records: deque[Moment] = deque()
        self.replay_at: deque[datetime] = deque()
        self.last: datetime | None = None

    def add(self, moments: Iterable[Moment]) -> None:
        self.records.extend(moments)
        # From behind: no record is decided later than a record behind it whose moment is known.
        bounds: list[datetime | None] = []
        least: datetime | None = None
        for one in reversed(self.records):
            if one.decided_at is not None and (least is None or one.decided_at < least):
                least = one.decided_at
            bounds.append(least)
        self.replay_at.clear()
        before = self.last
        for one, bound in zip(self.records, reversed(bounds), strict=True):
            moment = one.decided_at or one.written_at
            if before is not None:
                moment = max(moment, before)
            if bound is not None:
                moment = min(moment, bound)
            self.replay_at.append(moment)
            before = moment

    def overtakes(self, moment: datetime) -> bool:
        """Whether a record behind the first, which said nothing, was written before this moment."""
        behind = takewhile(lambda one: one.written_at <= moment, islice(self.records, 1, None))
        return any(one.decided_at is None for one in behind)

    def up_to_unsaid(self, moment: datetime) -> int:
        """How many records there are up to the first that said nothing and was written before this moment; 0 if there
        is no such record."""
        behind = takewhile(lambda one: one.written_at <= moment, self.records)
        return next((place for place, one in enumerate(behind, 1) if one.decided_at is None), 0)

    def take(self) -> Taken:
        """The first record, no longer read ahead."""
        self.last = moment = self.replay_at[0]
        overtaken = self.overtakes(moment)
        self.replay_at.popleft()
        first = self.records.popleft()
        return Taken(first.record, moment, first.decided_at, overtaken)


class Merged:
    """All records that are read ahead, by partition."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], _PartitionAhead] = {}

    def add(self, moments: Sequence[Moment]) -> None:
        """Add records of one partition behind the records that were added before."""
        if moments:
            place = moments[0].record.topic, moments[0].record.partition
            self._partitions.setdefault(place, _PartitionAhead()).add(moments)

    def ahead(self, place: tuple[str, int]) -> int:
        """How many records of this partition are read ahead."""
        return len(self._partitions[place].records) if place in self._partitions else 0

    @property
    def next(self) -> datetime | None:
        """The replay moment of the record that comes next; None if no record is read ahead."""
        return min((ahead.replay_at[0] for ahead in self._partitions.values() if ahead.replay_at), default=None)

    def take(self, limit: int, group: Callable[[str], str], before: datetime | None) -> list[Taken]:
        """The records that come next and may be decided together: of one ``group`` of topics, within a tenth of a
        second, and ``before`` the moment at which something else happens. There is at least one."""
        taken: list[Taken] = []
        chosen = ""
        while len(taken) < limit:
            begun = (place for place, ahead in self._partitions.items() if ahead.replay_at)
            place = min(begun, key=self._order, default=None)
            if place is None:
                break
            ahead = self._partitions[place]
            moment = ahead.replay_at[0]
            if taken and (group(place[0]) != chosen or (before and moment >= before) or not _together(taken, ahead)):
                break
            chosen = group(place[0])
            taken.append(one := ahead.take())
            if one.decided_at is not None and one.decided_at > moment:
                before = one.decided_at if before is None else min(before, one.decided_at)  # then it comes back
            if self.ahead(place) == 0:
                break  # the record behind it is not read yet, and may come next
        return taken

    def take_unsaid(self, moment: datetime) -> list[Taken]:
        """Of one partition the records up to one that said nothing and was there before this moment. A message may have
        waited for that record until then, although it lies behind records that were decided later."""
        for ahead in self._partitions.values():
            if count := ahead.up_to_unsaid(moment):
                return [ahead.take() for _ in range(count)]
        return []

    def _order(self, place: tuple[str, int]) -> tuple[datetime, str, int]:
        return self._partitions[place].replay_at[0], *place


def _together(taken: Sequence[Taken], ahead: _PartitionAhead) -> bool:
    """Whether the next record of this partition may be decided in one batch with these: nothing has to come between."""
    moment, last = ahead.replay_at[0], taken[-1]
    if ahead.records[0].decided_at is not None and (
        last.decided_at is None or not in_one_batch(last.replay_at, moment)
    ):
        return False
    return moment - taken[0].replay_at <= TOGETHER
