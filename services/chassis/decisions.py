"""The input and output of a decision: pure values. Rules import this module and contracts, and nothing else of ours.

Every service is ``decide(states, inbound, now, policy) -> Decision`` with a database around it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from contracts.envelope import Event
from contracts.frozen import frozen
from contracts.messages import Message
from contracts.topics import TopicEntry

__all__ = ["CancelTimer", "Channel", "Decide", "Decision", "Inbound", "Send", "States", "Timer", "Wait"]

R = TypeVar("R")
_NOBODY: Final[dict[Hashable, Any]] = {}


@frozen
class Inbound:
    """One message as a decision sees it."""

    event: Event
    topic: str
    own_id: UUID
    """An id for whatever the decision creates. It follows from this message and the service's secret: a second decision
    gives the same id, and nobody outside can guess it."""
    received_at: datetime
    """When this service first saw the message, by its own clock. A wait is counted from this moment."""
    waited_out: bool = False
    """The message waited for a fact and its time is up: the decision refuses it now, and does not wait again."""
    appended_at: datetime | None = None
    """When the log took the message in, if a stranger wrote it; None if a service of the linkage wrote its time."""

    @property
    def data(self) -> Any:
        """The message itself."""
        return self.event.data

    @property
    def time(self) -> datetime:
        """The CloudEvents time, or the time of arrival if that was earlier. Windows and expiries are judged at it."""
        time, arrived = self.event.time, self.appended_at
        return time if arrived is None or time <= arrived else arrived

    def is_named_by_own_id(self, topic: TopicEntry) -> bool:
        """Whether messages on this topic name this message by ``own_id``: a stranger may have written anything into its
        id, and nothing of that goes to an inner topic."""
        return self.appended_at is not None and not topic.outer


@frozen
class Send:
    """A message to publish by the outbox. ``time`` of None means the moment of decision."""

    topic: TopicEntry
    message: Message
    time: datetime | None = None
    source: str | None = None
    """Only for a service that speaks for somebody else; None is the service itself."""


@frozen
class Timer:
    """At ``due`` this message goes to the service's own topic. The same name again replaces the timer."""

    name: str
    due: datetime
    topic: TopicEntry
    message: Message


@frozen
class CancelTimer:
    """Forget the timer of this name, if it stands."""

    name: str


@frozen
class Channel:
    """Where a fact may come from: a topic, or only that partition of it in which messages of ``key`` lie."""

    topic: TopicEntry
    key: str | None = None


@frozen
class Wait:
    """This message needs ``fact``, an entity name that is locked in this batch. Nothing else of the decision counts.

    Later messages of the same subject go behind it. ``brought_by`` names every channel that may carry a message which
    brings the fact or lengthens the wait. The wait is over when its deadline has passed and all messages are applied
    that lay on these channels then; other channels do not matter. ``until`` of None means the service's
    ``await_facts`` after the message was first seen. A ``fact`` of None is the moment ``until`` itself, which needs no
    message.
    """

    fact: str | None
    brought_by: tuple[Channel, ...]
    until: datetime | None = None


@frozen
class Decision:
    """What follows from one message: all of it is committed, or none."""

    changes: tuple[Any, ...] = ()
    """New states: ``@frozen`` rows of the store's tables; a row replaces the one with its key."""
    sends: tuple[Send, ...] = ()
    timers: tuple[Timer | CancelTimer, ...] = ()
    facts: tuple[str, ...] = ()
    """Facts that are known now: messages that wait for them become ready, and are decided again soon and in order."""
    wait: Wait | None = None
    gone: tuple[Any, ...] = ()
    """Rows that are no longer needed: the row with this key is deleted, after ``changes`` are entered."""


@dataclass(slots=True)
class _Kind:
    key: Callable[[Any], Hashable]
    groups: dict[str, Callable[[Any], Hashable]]
    rows: dict[Hashable, Any] = field(default_factory=dict)
    grouped: dict[str, dict[Hashable, dict[Hashable, Any]]] = field(default_factory=dict)
    changed: dict[Hashable, Any] = field(default_factory=dict)
    gone: dict[Hashable, Any] = field(default_factory=dict)
    row_versions: dict[Hashable, int] = field(default_factory=dict)
    """Of rows that were loaded: the transaction that wrote the row, which PostgreSQL calls ``xmin``."""


class States:
    """The states that a batch has loaded and locked, by row type. Rules read; the chassis puts changes back."""

    def __init__(self) -> None:
        self._kinds: dict[type, _Kind] = {}

    def declare(
        self,
        kind: type,
        key: Callable[[Any], Hashable],
        groups: dict[str, Callable[[Any], Hashable]] | None = None,
    ) -> None:
        """Make a row type known, with its key and the groups by which rules ask for rows. Tables do this on load."""
        names = groups or {}
        self._kinds[kind] = _Kind(key, names, grouped={name: {} for name in names})

    def get(self, kind: type[R], key: Hashable) -> R | None:
        """The row with this key, or None where there is none."""
        found: R | None = self._kinds[kind].rows.get(key)
        return found

    def group(self, kind: type[R], name: str, value: Hashable) -> Collection[R]:
        """The loaded rows whose group ``name`` has this value, in order of arrival. No copy: in a crowd each message
        would copy all of it. Rows that have None there are in no group."""
        return self._kinds[kind].grouped[name].get(value, _NOBODY).values()

    def load(self, rows: Sequence[Any], row_versions: Sequence[int] = ()) -> None:
        """Enter rows as the database has them, with their row versions. A row without one is new when it is saved."""
        for row, row_version in itertools.zip_longest(rows, row_versions):
            kind, key = self._enter(row)
            if row_version is not None:
                kind.row_versions[key] = row_version

    def put(self, row: Any) -> None:
        """Enter a changed row; it will be saved."""
        kind, key = self._enter(row)
        kind.changed[key] = row

    def drop(self, row: Any) -> None:
        """Take the row with this row's key out; it will be deleted where the database has it."""
        kind = self._kinds[type(row)]
        key = kind.key(row)
        old = kind.rows.pop(key, None)
        if old is None:
            return
        for name, group_of in kind.groups.items():
            if (group := group_of(old)) is not None:
                kind.grouped[name][group].pop(key)
        kind.changed.pop(key, None)
        if key in kind.row_versions:
            kind.gone[key] = old

    def dropped(self, kind: type[R]) -> tuple[list[R], list[int]]:
        """Rows of this type to delete, with the row versions that were loaded."""
        found = self._kinds[kind]
        return list(found.gone.values()), [found.row_versions[key] for key in found.gone]

    def changed(self, kind: type[R]) -> list[R]:
        """Rows of this type to save, the last state of each."""
        return list(self._kinds[kind].changed.values())

    def changes(self, kind: type[R]) -> tuple[list[R], list[int], list[R]]:
        """The same in parts: rows that were loaded, their row versions, and rows that were not loaded."""
        found = self._kinds[kind]
        known = found.row_versions
        if not known:
            return [], [], list(found.changed.values())
        loaded = [key for key in found.changed if key in known]
        new = [row for key, row in found.changed.items() if key not in known]
        return [found.changed[key] for key in loaded], [known[key] for key in loaded], new

    def _enter(self, row: Any) -> tuple[_Kind, Hashable]:
        kind = self._kinds[type(row)]
        key = kind.key(row)
        old = kind.rows.get(key)
        kind.rows[key] = row
        kind.gone.pop(key, None)
        for name, group_of in kind.groups.items():
            group, members = group_of(row), kind.grouped[name]
            if old is not None and (before := group_of(old)) != group and before is not None:
                members[before].pop(key)
            if group is None:
                continue
            if group in members:
                members[group][key] = row
            else:
                members[group] = {key: row}
        return kind, key

    def __iter__(self) -> Iterator[type]:
        return iter(self._kinds)


Decide: TypeAlias = Callable[[States, Inbound, datetime, Any], Decision]
"""``decide(states, inbound, now, policy)``; the policy is the service's own, the same for all of its messages."""
