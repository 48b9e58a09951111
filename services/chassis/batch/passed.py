"""When messages were decided that led to no message: the next message of the same process tells it. Pure.

A decision that sends a message tells its own moment in it (``ce_decidedat``). A decision that sends nothing leaves no
trace in the log. A replay could then only use the time of the record. But the partition may not have moved for a long
time before the decision, and the broker's clock may run ahead of the service's. So a process remembers how far it has
come in each partition since its last message, and tells that with its next message (``ce_passed``): these records were
*passed*, after that earlier message and before this one. After a process has taken partitions over, its next message
also tells when the process began and where the partitions stood. Records that an earlier process passed after its last
message were decided after the last message before that begin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from contracts.envelope import microseconds, moment_of
from services.chassis.log.records import Record

__all__ = ["Begun", "Between", "PassedOver", "Place", "Silence", "Told", "passed_at", "read_passed"]

Place: TypeAlias = tuple[str, int]
_MICROSECOND: Final = timedelta(microseconds=1)
_BEGINS: Final = "begins"
_THEN: Final = "then"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""A topic's name as Kafka takes it."""
_MOST: Final = 100
"""Places that one message tells at most, so that a header stays small however many partitions there are."""


class Begun(NamedTuple):
    """Where partitions stood when a process that began ``at`` this moment took them over."""

    at: datetime
    places: Mapping[Place, int]


class Told(NamedTuple):
    """What one message tells: the records of these partitions before the offsets that no earlier message told were
    decided later than ``since``, and earlier than the message itself. With ``begun`` it is the first message since its
    process took the partitions over.
    """

    since: datetime
    passed: Mapping[Place, int]
    begun: Begun | None = None


@dataclass(slots=True)
class Silence:
    """The records that one batch passes. It begins with those that other batches of this process ``left`` untold."""

    since: datetime
    left: Mapping[Place, int]
    begun: Begun | None = None
    places: dict[Place, int] = field(init=False)
    spoke: bool = False

    def __post_init__(self) -> None:
        self.places = dict(self.left)

    def passes(self, record: Record) -> None:
        """This record led to no message."""
        self.places[record.topic, record.partition] = record.last + 1

    @property
    def told(self) -> str | None:
        """What the next message tells; None where there is nothing to tell."""
        begun = None if self.spoke else self.begun
        if not self.places and begun is None:
            return None
        began = [] if begun is None else [_BEGINS, microseconds(begun.at), *_texts(begun.places), _THEN]
        return " ".join((microseconds(self.since), *began, *_texts(self.places)))

    def speaks(self, moment: datetime) -> None:
        """A message that was decided at this moment tells of it."""
        self.since, self.spoke = moment, True
        self.places.clear()


class PassedOver:
    """What all lanes of this process have passed since its last message, and which partitions they took over since."""

    def __init__(self, now: datetime) -> None:
        self._start = self._since = now
        self._first: dict[Place, int] = {}
        self._taken_over: dict[Place, int] = {}
        self._places: dict[Place, int] = {}

    def takes_over(self, places: Mapping[Place, int]) -> None:
        """Lanes take these partitions over, each at this offset."""
        # Only the first time: this process itself tells, more exactly, what was passed there since. If two groups read
        # one partition, the group that is further behind counts.
        first = {place: end for place, end in places.items() if end < self._first.get(place, end + 1)}
        self._first |= first
        self._taken_over |= first

    def begin(self) -> Silence:
        """Begin a batch, once it holds its locks."""
        begun = Begun(self._start, dict(self._taken_over)) if self._taken_over else None
        return Silence(self._since, dict(self._places), begun)

    def end(self, batch: Silence) -> None:
        """End a batch before it commits, while it still holds its locks: the batch that takes them next tells of it.

        If the batch is lost after this, nobody tells what it was to tell, and a replay uses the times of the records.
        """
        if batch.spoke:
            self._since = max(self._since, batch.since)
            _take_out(self._places, batch.left)
            _take_out(self._taken_over, batch.begun.places if batch.begun else {})
        for place, end in batch.places.items():
            self._places[place] = max(end, self._places.get(place, 0))


def _take_out(places: dict[Place, int], told: Mapping[Place, int]) -> None:
    """What was told, unless a lane has come further in it meanwhile."""
    for place, end in told.items():
        if places.get(place) == end:
            del places[place]


def read_passed(text: str) -> Told | None:
    """What a message tells; None where that cannot be read, or nothing is told."""
    try:
        moment, *places = text.split()
        since = moment_of(moment)
        if places[:1] != [_BEGINS]:
            return Told(since, _places(places))
        then = places.index(_THEN)
        begun = Begun(moment_of(places[1]), _places(places[2:then]))
        return Told(since, _places(places[then + 1 :]), begun)
    except (ValueError, OverflowError):
        return None


def _texts(places: Mapping[Place, int]) -> list[str]:
    return [f"{topic}/{number}:{end}" for (topic, number), end in islice(places.items(), _MOST)]


def _places(texts: Sequence[str]) -> dict[Place, int]:
    found = {}
    for text in texts:
        partition, _, end = text.rpartition(":")
        topic, _, number = partition.rpartition("/")
        place, offset = (topic, int(number)), int(end)
        if not _TOPIC.fullmatch(topic) or not 0 <= place[1] < 1 << 31 or not 0 <= offset < 1 << 63:
            raise ValueError("no table keeps it")  # somebody has written it by hand
        found[place] = offset
    return found


class Between(NamedTuple):
    """A record was passed later than ``after`` and earlier than ``before``; None where nobody tells."""

    after: datetime | None = None
    before: datetime | None = None


def passed_at(written_at: datetime, told: Between) -> datetime:
    """The earliest moment at which a record can have been decided that was written then, and passed as ``told``."""
    # The broker's clock may run ahead of the service's: then a record is decided earlier than it was written. Both
    # moments of ``told`` are of the service's own clock, so they win.
    moment = written_at if told.before is None else min(written_at, told.before - _MICROSECOND)
    return moment if told.after is None else max(moment, told.after + _MICROSECOND)
