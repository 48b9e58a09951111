"""What was decided without a word, told by who speaks next: pure.

A decision that sends something tells its moment (``ce_decidedat``). Of one that sends nothing the log would hold no
trace, and a replay could only go by the time of its record, though its partition may have stood still meanwhile. So a
process remembers how far it has come in each partition since it spoke last, and says so with its next message
(``ce_passed``). What is told there was decided after that earlier message. The first message of a process says that it
``begins``: what an earlier process passed at its end is told by nobody, and was decided after that one's last message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from services.chassis.records import Record

__all__ = ["Passed", "PassedOver", "Silence", "Told", "read_passed", "spoken_after"]

Place: TypeAlias = tuple[str, int]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BEGINS: Final = "begins"
_MOST: Final = 100
"""Places that one message tells: a header stays small however many partitions there are."""


class Passed(NamedTuple):
    """All of a partition before ``next_offset`` that was not told earlier was decided later than ``after``."""

    topic: str
    partition: int
    next_offset: int
    after: datetime


class Told(NamedTuple):
    """What one message tells. ``since``: the message of its process before it was decided then, or the process began
    then, if ``begins``."""

    since: datetime
    begins: bool
    passed: list[Passed]


@dataclass(slots=True)
class Silence:
    """What one batch passes without a word: at its begin what other batches of this process left untold."""

    since: datetime
    begun: Mapping[Place, int]
    begins: bool = False
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
        if not self.places and not self.begins:
            return None
        places = [f"{topic}/{number}:{end}" for (topic, number), end in list(self.places.items())[:_MOST]]
        begins = [_BEGINS] if self.begins else []
        return " ".join((str((self.since - _EPOCH) // _MICROSECOND), *begins, *places))

    def speaks(self, moment: datetime) -> None:
        """A message that was decided at this moment tells of it."""
        self.since, self.spoke, self.begins = moment, True, False
        self.places.clear()


class PassedOver:
    """What this process has passed since it spoke last, over all of its lanes."""

    def __init__(self, now: datetime) -> None:
        self._since = now
        self._begins = True
        self._places: dict[Place, int] = {}

    def begin(self) -> Silence:
        """For a batch, once it holds its locks."""
        return Silence(self._since, dict(self._places), self._begins)

    def end(self, batch: Silence) -> None:
        """Before the batch commits, while it still holds its locks: who takes them over tells of it.

        If the batch is lost after this, what it was to tell is told by nobody, and a replay goes by the records' times.
        """
        if batch.spoke:
            self._since, self._begins = max(self._since, batch.since), False
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
        begins = places[:1] == [_BEGINS]
        found = []
        for place in places[begins:]:
            partition, _, end = place.rpartition(":")
            topic, _, number = partition.rpartition("/")
            found.append(Passed(topic, int(number), int(end), since))
        return Told(since, begins, found)
    except (ValueError, OverflowError):
        return None


def spoken_after(written_at: datetime, after: datetime | None) -> datetime:
    """The earliest moment at which a record was decided that was written then, and told as passed ``after`` that."""
    return written_at if after is None else max(written_at, after + _MICROSECOND)
