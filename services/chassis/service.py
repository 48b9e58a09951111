"""The description of a service, by which the chassis runs it: its rows, streams, store, jobs and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from fastapi import APIRouter

from contracts.envelope import ContractError, Event
from contracts.messages import Message
from contracts.topics import TopicEntry, service_source
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, Connection, Pool
from services.chassis.base.logs import Episode
from services.chassis.base.metrics import Figure
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.chassis.decisions import Decision, Inbound, Send, States
from services.chassis.reactions import Reaction
from services.chassis.schedule import Job
from services.chassis.tables import Table

__all__ = ["Figures", "Heard", "Service", "Store", "Stream", "Undecodable", "Worker"]

Heard: TypeAlias = Callable[[str, datetime], datetime | None]
"""Takes channels by name (``channels.named``) and a moment. Gives the latest known moment up to which all messages of
these channels are applied; None while no such moment is known that is not before the given moment."""

Worker: TypeAlias = Callable[[Pool, Settings, asyncio.Event], Awaitable[None]]
"""A long task; its event is set whenever this process has committed a batch."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One consumer group over some topics.

    ``sources`` are the CloudEvents sources that may speak there. ``backlog_limit``: while more rows of this group's
    making stand in the outbox, the group pauses (a flood delays only its own sender). ``most``: messages in one
    batch at most, below the process's own setting, since other tasks of the loop wait for a whole batch at each step.
    ``pausable``: the service's ``paused_groups`` is asked before each batch; while it
    names this group, messages stay in the log.
    """

    group: str
    topics: tuple[TopicEntry, ...]
    sources: frozenset[str]
    backlog_limit: int | None = None
    most: int | None = None
    pausable: bool = False


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record that nobody decides: it is not in the contract, its id was used before, or it is a batch that cannot be
    read. It is quarantined in any case."""

    topic: str
    partition: int
    offset: int
    key: str | None
    error: ContractError


class Figures(NamedTuple):
    """What a service tells of itself: entries of its health, and gauges."""

    state: Mapping[str, Any]
    gauges: Sequence[Figure]


class Store(Protocol):
    """A service's database: its tables, and how the states that a batch needs are loaded."""

    @property
    def tables(self) -> Sequence[Table[Any]]:
        """The state tables, in the order in which they are saved."""
        ...

    def needs(self) -> Any:
        """An empty collection of needs, into which ``Reaction.needs`` of each message enters what is to be loaded."""
        ...

    async def load(self, batch: Batch, needs: Any, states: States) -> None:
        """Enter into ``states`` all rows that these ``needs`` name: a constant number of statements.

        Subjects and ``locks`` are locked already. Further names found by loading are locked with
        ``await batch.lock(names)``: they must sort after all names locked before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the chassis runs it."""

    name: str
    streams: tuple[Stream, ...]
    reactions: Mapping[type[Message], Reaction]
    """The table of contents: a row for each message that the service reads."""
    store: Store
    migrations: Path
    policy: Any = None
    """The values by which rules decide, made once from settings and the files that they name."""
    refuse: Callable[[Undecodable], Iterable[Send]] | None = None
    """The messages that answer a record which nobody decides."""
    api: Callable[[Reads, Settings], APIRouter] | None = None
    bearers: frozenset[str] = frozenset()
    """Kinds of parties, beside operators, whose tokens it takes: each ``<kind>:<code>`` in the file of tokens."""
    paused_groups: Callable[[Connection], Awaitable[Collection[str]]] | None = None
    """Groups that an operator has paused. Nothing more of them is read, and their messages that are set aside stay.
    Nobody waits to hear their channels: a wait that only they could end is over at its deadline."""
    listeners: tuple[Callable[[Pool, Heard, Clock], Awaitable[None]], ...] = field(default=())
    """Long tasks that act once all messages are applied that lay on some channels at a moment; cancelled at stop."""
    episodes: tuple[Episode, ...] = field(default=())
    """Failures of the service's own long tasks: while one lasts, the process is not ready."""
    figures: Callable[[Connection], Awaitable[Figures]] | None = None
    """What health and metrics tell of this service beside the chassis' own figures, read at each question."""
    workers: tuple[Worker, ...] = field(default=())
    """Long tasks beside consuming; cancelled at stop."""
    schedule: tuple[Job, ...] = field(default=())
    """Its jobs at a time of day or every so often, beside the chassis' own job."""
    says: tuple[TopicEntry, ...] = field(default=())
    """Topics that it writes and does not read itself. If the database does not know one of its messages there, a later
    life of the database wrote it, so the database was restored."""
    speaks_as: str | None = None
    """The CloudEvents source of a service that speaks for somebody else; None is the service itself."""
    restored: Callable[[Connection, Sequence[Event]], Awaitable[None]] | None = None
    """Called once for a restored database, in the transaction that ends the replay, before relay and workers begin. It
    gets all messages that a later life of the database wrote on ``says``, in the order of each partition. After a crash
    it may be called again, for a transaction that was not committed."""

    @property
    def source(self) -> str:
        """The CloudEvents source of what it says."""
        return self.speaks_as or service_source(self.name)

    def reaction(self, inbound: Inbound) -> Reaction:
        """The row of this message."""
        return self.reactions[type(inbound.data)]

    def subject(self, inbound: Inbound) -> str:
        """The entity that this message decides."""
        return self.reaction(inbound).subject(inbound)

    def decide(self, states: States, inbound: Inbound, now: datetime) -> Decision:
        """What follows from this message, under the policy of the service."""
        return self.reaction(inbound).decide(states, inbound, now, self.policy)

    def entries(self) -> dict[str, tuple[TopicEntry, Stream]]:
        """The topics that are read at present, by name, each with its stream."""
        return {entry.name: (entry, stream) for stream in self.streams for entry in stream.topics}
