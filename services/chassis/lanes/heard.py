"""Which partitions one group is asked about, and up to which moments it has heard them. Pure.

Moments are those of the process's clock, and that clock may be set back. A moment of before would then vouch for
messages that came after it. Therefore all moments of before are forgotten, and the ends of the logs are taken anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import TopicPartition

from services.chassis.base.clock import Clock

__all__ = ["HeardPartitions", "Listening"]


@dataclass(slots=True)
class Listening:
    """A partition whose ``end`` was taken at ``moment`` or later. ``at``: its position at the last look."""

    moment: datetime
    end: int
    at: int | None = None
    unread_at: int | None = None
    """The position at which a message was seen to lie before the end."""


@dataclass(slots=True)
class HeardPartitions:
    """``asked``: partitions whose ends are to be taken. ``listening``: those whose ends are taken and not reached. Once
    the clock was set back ``listening`` is another dictionary: a look that began with the earlier one says nothing."""

    clock: Clock
    asked: set[TopicPartition] = field(default_factory=set)
    listening: dict[TopicPartition, Listening] = field(default_factory=dict)
    _moments: dict[TopicPartition, datetime] = field(default_factory=dict)
    _latest: datetime | None = None

    def now(self) -> datetime:
        """This moment."""
        now = self.clock.now()
        if self._latest is not None and now < self._latest:
            self.asked |= self.listening.keys()
            self.listening = {}
            self._moments.clear()
        self._latest = now
        return now

    def to(self, tp: TopicPartition, due: datetime) -> datetime | None:
        """The newest moment up to which this partition was heard, unless it is before ``due``: then it is asked for."""
        self.now()
        moment = self._moments.get(tp)
        if moment is not None and moment >= due:
            return moment
        if tp not in self.listening:
            self.asked.add(tp)
        return None

    def take(self, ends: Iterable[tuple[TopicPartition, int]], moment: datetime) -> None:
        """These are the ends of partitions, taken at this moment or later."""
        for tp, end in ends:
            self.asked.discard(tp)
            self.listening[tp] = Listening(moment, end)

    def reached(self, tp: TopicPartition, moment: datetime) -> None:
        """All is applied that lay in this partition at this moment."""
        self.asked.discard(tp)
        self.listening.pop(tp, None)
        self._moments[tp] = moment
