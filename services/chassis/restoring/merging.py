"""Records of several partitions in the order in which they were decided: pure.

What a decision said tells when it was made (``decidedat``). Of one that said nothing it is known when its record was
written, and often after which moment it was passed (``passed``). A partition keeps its order. A message that came back
from what was set aside was decided long after those behind it in the log: it comes as early as they do, and waits
again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final, NamedTuple

from services.chassis.records import Record

__all__ = ["TOGETHER", "Merged", "Moment", "Taken", "in_one_batch"]

TOGETHER: Final = timedelta(milliseconds=100)
"""What was decided within this time is decided in one batch, unless the first may have released what came between."""
_ONE_BATCH: Final = timedelta(milliseconds=1)
"""Decisions of one batch are a microsecond apart, and a commit lies between two batches."""


def in_one_batch(earlier: datetime, later: datetime) -> bool:
    """Whether what was decided at these moments was decided in one batch. Else what the earlier one released, and of
    which it is not known when it was decided, may have come between them."""
    return later - earlier <= _ONE_BATCH


class Moment(NamedTuple):
    """A record with the moment at which it was decided, as far as that is known, and the earliest at which it can have
    been: when it was written, or passed."""

    record: Record
    decided_at: datetime | None
    written_at: datetime


class Taken(NamedTuple):
    """A record whose turn has come. It is decided for good where its turn is the moment at which it was decided."""

    record: Record
    turn: datetime
    decided_at: datetime | None
    overtaken: bool = False
    """Whether something behind it, of which it is not known when it was decided, was there before it was decided: what
    it waited for may be just that."""

    @property
    def final(self) -> bool:
        """Whether it is decided for good."""
        return self.turn == self.decided_at


class _Queue:
    """The records of one partition that are read ahead, each with its turn."""

    def __init__(self) -> None:
        self.records: deque[Moment] = deque()
        self.turns: deque[datetime] = deque()
        self.last: datetime | None = None

    def add(self, moments: Iterable[Moment]) -> None:
        self.records.extend(moments)
        # From behind: nobody comes later than one behind him that told his moment.
        bounds: list[datetime | None] = []
        least: datetime | None = None
        for one in reversed(self.records):
            if one.decided_at is not None and (least is None or one.decided_at < least):
                least = one.decided_at
            bounds.append(least)
        self.turns.clear()
        before = self.last
        for one, bound in zip(self.records, reversed(bounds), strict=True):
            turn = one.decided_at or one.written_at
            if before is not None:
                turn = max(turn, before)
            if bound is not None:
                turn = min(turn, bound)
            self.turns.append(turn)
            before = turn

    def overtakes(self, turn: datetime) -> bool:
        """Whether something behind the first, that said nothing, was written before this turn."""
        behind = takewhile(lambda one: one.written_at <= turn, islice(self.records, 1, None))
        return any(one.decided_at is None for one in behind)

    def up_to_unsaid(self, turn: datetime) -> int:
        """How many records there are up to the first that said nothing and was written before this turn; 0 if none."""
        behind = takewhile(lambda one: one.written_at <= turn, self.records)
        return next((place for place, one in enumerate(behind, 1) if one.decided_at is None), 0)

    def take(self) -> Moment:
        self.last = self.turns.popleft()
        return self.records.popleft()


class Merged:
    """What is read ahead of each partition."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, int], _Queue] = {}

    def add(self, moments: Sequence[Moment]) -> None:
        """Records of one partition, behind those that were added before."""
        if moments:
            place = moments[0].record.topic, moments[0].record.partition
            self._queues.setdefault(place, _Queue()).add(moments)

    def ahead(self, place: tuple[str, int]) -> int:
        """How many records of this partition are read ahead."""
        return len(self._queues[place].records) if place in self._queues else 0

    @property
    def next(self) -> datetime | None:
        """The moment of what comes next."""
        return min((queue.turns[0] for queue in self._queues.values() if queue.turns), default=None)

    def take(self, limit: int, group: Callable[[str], str], before: datetime | None) -> list[Taken]:
        """What comes next and may be decided together: of one ``group`` of topics, within a tenth of a second, and
        ``before`` something else happens. There is one at least."""
        taken: list[Taken] = []
        chosen = ""
        while len(taken) < limit:
            place = min((place for place in self._queues if self._queues[place].turns), key=self._order, default=None)
            if place is None:
                break
            queue = self._queues[place]
            turn = queue.turns[0]
            if taken and (group(place[0]) != chosen or (before and turn >= before) or not _together(taken, queue)):
                break
            chosen = group(place[0])
            one = queue.take()
            taken.append(Taken(one.record, turn, one.decided_at, queue.overtakes(turn)))
            if one.decided_at is not None and one.decided_at > turn:
                before = one.decided_at if before is None else min(before, one.decided_at)  # then it comes back
            if self.ahead(place) == 0:
                break  # what is behind it is not read yet, and may come next
        return taken

    def take_unsaid(self, turn: datetime) -> list[Taken]:
        """Of one partition what lies up to a record that said nothing and was there before this turn: it may be what
        somebody waited for until then, though it lies behind others that were decided later."""
        for queue in self._queues.values():
            if count := queue.up_to_unsaid(turn):
                taken = []
                for _ in range(count):
                    at, overtaken = queue.turns[0], queue.overtakes(queue.turns[0])
                    one = queue.take()
                    taken.append(Taken(one.record, at, one.decided_at, overtaken))
                return taken
        return []

    def _order(self, place: tuple[str, int]) -> tuple[datetime, str, int]:
        return self._queues[place].turns[0], *place


def _together(taken: Sequence[Taken], queue: _Queue) -> bool:
    """Whether the next of this partition may be decided in one batch with these: nothing has to come between."""
    turn, last = queue.turns[0], taken[-1]
    if queue.records[0].decided_at is not None and (last.decided_at is None or not in_one_batch(last.turn, turn)):
        return False
    return turn - taken[0].turn <= TOGETHER
