"""One service alone in memory: what every world of a single service has, and what a test may look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from contracts.messages import Message
from contracts.registry import Registry
from contracts.topics import TopicEntry
from services.chassis.batch.set_aside import Aside
from tests.support.linkage import at_once
from tests.support.linkages import memory_linkage

__all__ = ["OneService"]

R = TypeVar("R")


class OneService:
    """A linkage that has this service alone, under a clock that is set by hand."""

    def __init__(
        self, name: str, moment: datetime, seats: Mapping[str, Registry] | None = None, **settings: Any
    ) -> None:
        self.linkage = memory_linkage((name,), moment, seats, **settings)
        self.member = self.linkage.members[name]

    @property
    def aside(self) -> list[Aside]:
        """What is set aside, in order."""
        return at_once(self.member.base.set_aside())

    @property
    def timers(self) -> dict[str, datetime]:
        """When its timers are due, by name."""
        return at_once(self.member.base.due())

    def rows(self, kind: type[R]) -> list[R]:
        """All rows of a type."""
        return at_once(self.member.base.all_of(kind))

    def published(self, topic: TopicEntry, already: int = 0) -> list[Message]:
        """The messages on a topic of its own, in order, behind the first ``already`` records of the log."""
        return [event.data for event in self.linkage.log.events(topic.name, already)]
