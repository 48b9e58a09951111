"""What was decided without a word, told by who speaks next: pure.

A decision that sends something tells its moment (``ce_decidedat``). Of one that sends nothing the log would hold no
trace, and a replay could only go by the time of its record, though its partition may have stood still meanwhile. So a
process remembers how far it has come in each partition since it spoke last, and says so with its next message
(``ce_passed``). What is told there was decided after that earlier message. The first message of a process tells, too,
where all partitions stood when the process began: what earlier processes passed at their ends, and told nobody, was
decided after their last message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from services.chassis.records import Record

__all__ = ["PassedOver", "Place", "Silence", "Told", "read_passed", "spoken_after"]

Place: TypeAlias = tuple[str, int]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BEGINS: Final = "begins"
_THEN: Final = "then"
_MOST: Final = 100
"""Places that one message tells: a header stays small however many partitions there are."""


class Told(NamedTuple):
    """What one message tells: all of these partitions before the offsets, and not told earlier, was decided later than
    ``since``. With ``begun`` it is the first of its process, which began at ``since``, when the partitions stood there.
    """

    since: datetime
    passed: Mapping[Place, int]
    begun: Mapping[Place, int] | None = None


@dataclass(slots=True)
class Silence:
    """What one batch passes without a word: at its begin what other batches of this process left untold."""

    since: datetime
    begun: Mapping[Place, int]
    began: Mapping[Place, int] | None = None
    places: dict[Place, int] = field(init=False)
    spoke: bool = False

    def __post_init__(self) -> None:
        self.places = dict(self.begun)

    def passes(self, record: Record) -> None:
        """This record leads to no message at present."""
        self.places[record.topic, record.partition] = record.last + 1

    @property
    def told(self) -> str | None:
        """What the next message tells; None where there is nothing to tell."""
        if not self.places and self.began is None:
            return None
        began = [] if self.began is None else [_BEGINS, *_texts(self.began), _THEN]
        return " ".join((str((self.since - _EPOCH) // _MICROSECOND), *began, *_texts(self.places)))

    def speaks(self, moment: datetime) -> None:
        """A message that was decided at this moment tells of it."""
        self.since, self.spoke, self.began = moment, True, None
        self.places.clear()


class PassedOver:
    """What this process has passed since it spoke last, over all of its lanes."""

    def __init__(self, now: datetime) -> None:
        self._since = now
        self._began: Mapping[Place, int] | None = None
        self._places: dict[Place, int] = {}

    def begins(self, now: datetime, places: Mapping[Place, int]) -> None:
        """The process begins, and the partitions stand there."""
        self._since, self._began = now, dict(places)

    def begin(self) -> Silence:
        """For a batch, once it holds its locks."""
        return Silence(self._since, dict(self._places), self._began)

    def end(self, batch: Silence) -> None:
        """Before the batch commits, while it still holds its locks: who takes them over tells of it.

        If the batch is lost after this, what it was to tell is told by nobody, and a replay goes by the records' times.
        """
        if batch.spoke:
            self._since, self._began = max(self._since, batch.since), None
            for place, end in batch.begun.items():
                if self._places.get(place) == end:
                    del self._places[place]
        for place, end in batch.places.items():
            self._places[place] = max(end, self._places.get(place, 0))


def read_passed(text: str) -> Told | None:
    """What a message tells; None where that cannot be read, or nothing is told."""
    try:
        moment, *places = text.split()
        since = _EPOCH + timedelta(microseconds=int(moment))
        if places[:1] != [_BEGINS]:
            return Told(since, _places(places))
        then = places.index(_THEN)
        return Told(since, _places(places[then + 1 :]), _places(places[1:then]))
    except (ValueError, OverflowError):
        return None


def _texts(places: Mapping[Place, int]) -> list[str]:
    return [f"{topic}/{number}:{end}" for (topic, number), end in islice(places.items(), _MOST)]


def _places(texts: Sequence[str]) -> dict[Place, int]:
    found = {}
    for text in texts:
        partition, _, end = text.rpartition(":")
        topic, _, number = partition.rpartition("/")
        found[topic, int(number)] = int(end)
    return found


def spoken_after(written_at: datetime, after: datetime | None) -> datetime:
    """The earliest moment at which a record was decided that was written then, and told as passed ``after`` that."""
    return written_at if after is None else max(written_at, after + _MICROSECOND)
