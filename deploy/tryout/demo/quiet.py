"""Finds out when nothing is under way any more: no message is unread, unsent, waiting, or without its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from contracts.topics import DELIVERIES, INBOUND, RECEIPTS, REFUSALS, TopicEntry, all_topics
from deploy.operate.ends import Ends, TopicEnds
from deploy.operate.errors import words
from deploy.operate.waiting import wait_until_done
from deploy.tryout.demo.books import Books

__all__ = ["Ends", "Look", "Quiet", "Stuck", "readers"]

Positions: TypeAlias = Sequence[tuple[str, int, int]]
"""Topic, partition, and the offset of the next message that is read."""

_POLL_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60.0
"""The longest time without any change while something is under way."""
_LONGEST_SECONDS: Final = 600.0
_ENDS_SECONDS: Final = 30.0

_ASIDE: Final = (
    "(SELECT count(*) FROM audit_set_aside WHERE reason = 'waiting') AS waiting, "
    "(SELECT count(*) FROM audit_set_aside WHERE reason = 'ready') AS ready"
)
_OUTBOX: Final = "(SELECT count(*) FROM audit_outbox) AS outbox"
_POSITIONS: Final = (
    "(SELECT json_agg(json_build_array(topic, partition, next_offset)) FROM audit_consumed) AS positions"
)
_TRANSFERS: Final = (
    "(SELECT count(*) FROM audit_transfer WHERE state IN ('queued', 'sent', 'uncertain')) AS transfers_under_way"
)
_CALLS: Final = (
    "(SELECT count(*) FROM audit_credit WHERE state IN ('due', 'calling', 'unknown')) AS calls, "
    "(SELECT count(*) FROM audit_notice WHERE NOT rejected) AS notices"
)
_WORDS: Final = {
    "waiting": "messages wait for a fact",
    "ready": "messages are about to be decided again",
    "outbox": "messages are not published yet",
    "transfers_under_way": "transfers are queued, sent or uncertain",
    "calls": "credits are not answered by the registry's system",
    "notices": "letters are not passed on to the registry's system",
    "unread": "messages are not read yet",
}


class Stuck(Exception):
    """Something is under way, and nothing moves. The text says what is under way."""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that was under way at one moment, but for timers: database, kind of work, how much."""

    work: dict[tuple[str, str], int]

    def total(self, *, waiting: bool) -> int:
        """How much is under way, with or without messages that wait for a fact."""
        return sum(count for (_, kind), count in self.work.items() if waiting or kind != "waiting")

    def within(self, allowed: Mapping[tuple[str, str], int]) -> bool:
        """Whether no more is under way than this, by database and kind of work."""
        return all(count <= allowed.get(place, 0) for place, count in self.work.items())

    def __str__(self) -> str:
        """The same in words."""
        return "; ".join(f"{name}: {count} {_WORDS[kind]}" for (name, kind), count in self.work.items() if count)


def readers(databases: Mapping[str, str]) -> dict[str, list[TopicEntry]]:
    """The topics that the process behind each database reads."""
    codes = sorted(name.removeprefix("sandbox_") for name in databases if name.startswith("sandbox_"))
    own = [entry for entry in INBOUND if entry is not RECEIPTS]
    found: dict[str, list[TopicEntry]] = {}
    for code in codes:
        reader = f"adapter_{code}" if f"adapter_{code}" in databases else f"sandbox_{code}"
        found[reader] = [entry.of(code) for entry in (*own, DELIVERIES, REFUSALS)]
    for entry in all_topics(codes):
        for reader in entry.readers:
            if reader != "registry":
                found.setdefault(reader, []).append(entry)
    return found


class Quiet:
    """Looks at all processes that read, and at the ends of all topics, for ``async with``."""

    def __init__(self, books: Books, databases: Mapping[str, str], address: str, died: Callable[[], None]) -> None:
        self._books = books
        self._died = died
        self._readers = readers(databases)
        self._partitions = {
            name: [TopicPartition(entry.name, number) for entry in entries for number in range(entry.partitions)]
            for name, entries in self._readers.items()
        }
        self._read = [name for name in databases if name in self._readers]
        self._ends = TopicEnds(address)

    async def __aenter__(self) -> Quiet:
        await self._ends.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ends.__aexit__(kind, error, trace)

    async def ends(self) -> Ends:
        """The end of each partition that a process reads."""
        wanted = sorted({tp for partitions in self._partitions.values() for tp in partitions})
        found: Ends = {}

        async def untold() -> str | None:
            nonlocal found
            try:
                found = await self._ends.of(wanted)
            except KafkaError as error:
                return words(error)
            return None

        def late(error: str) -> Stuck:
            return Stuck(f"the broker does not tell the ends of its topics ({error}); see the broker's log")

        await wait_until_done(untold, late, seconds=_ENDS_SECONDS, every=_POLL_SECONDS)
        return found

    async def look(self) -> Look:
        """Everything that is under way now.

        The processes are asked before the ends of the topics. A message that has left its outbox by then stands before
        these ends, and counts until a stored position has passed it. So no message can hide between outbox and log.
        """
        found = await asyncio.gather(*(self._progress(name) for name in self._read))
        ends = await self.ends()
        work: dict[tuple[str, str], int] = {}
        for name, (counts, positions) in zip(self._read, found, strict=True):
            work |= {(name, kind): count for kind, count in counts.items()}
            work[name, "unread"] = self._behind(name, positions, ends)
        return Look(work)

    async def _progress(self, name: str) -> tuple[dict[str, int], Positions]:
        """How much of each kind of work a process has, and its positions, of one moment: a registry's system tells it
        over HTTP, a service by its audit views."""
        if name.startswith("sandbox_"):
            told = await self._books.under_way(name.removeprefix("sandbox_"))
            return {"outbox": told["outbox"]}, told["positions"]
        (row,) = await self._books.fetch(name, _statement(name))
        return {kind: row[kind] for kind in row.keys() if kind != "positions"}, json.loads(row["positions"] or "[]")  # noqa: SIM118

    async def until(self, done: Callable[[Look], bool], tell: Callable[[Look], None] = lambda look: None) -> Look:
        """Look until ``done``. Raises ``Stuck`` when nothing changes for a minute, and the error of a process that
        died."""
        clock = asyncio.get_running_loop().time
        begun = changed = clock()
        last: Look | None = None

        async def under_way() -> str | None:
            nonlocal changed, last
            self._died()
            look = await self.look()
            tell(look)
            if look != last:
                changed, last = clock(), look
            if done(look):
                return None
            if clock() - changed > PATIENCE_SECONDS:
                raise Stuck(f"nothing moves after {clock() - begun:.0f} s: {look}")
            return str(look)

        def late(under_way: str) -> Stuck:
            return Stuck(f"work is still under way after {_LONGEST_SECONDS:.0f} s: {under_way}")

        await wait_until_done(under_way, late, seconds=_LONGEST_SECONDS, every=_POLL_SECONDS)
        assert last is not None, "the wait ends with a look"
        return last

    async def until_read(self, database: str, ends: Ends) -> None:
        """Wait until a service has applied everything up to these ends. Raises ``Stuck``, and the error of a process
        that died."""

        async def unread() -> str | None:
            self._died()
            _, positions = await self._progress(database)
            behind = self._behind(database, positions, ends)
            return f"{behind} {_WORDS['unread']}" if behind else None

        def late(unread: str) -> Stuck:
            return Stuck(f"{database} after {PATIENCE_SECONDS:.0f} s: {unread}")

        await wait_until_done(unread, late, seconds=PATIENCE_SECONDS, every=_POLL_SECONDS)

    def _behind(self, name: str, positions: Positions, ends: Ends) -> int:
        read = {TopicPartition(topic, partition): offset for topic, partition, offset in positions}
        return sum(max(0, ends[tp] - read.get(tp, 0)) for tp in self._partitions.get(name, ()))


def _statement(database: str) -> str:
    kind = database.partition("_")[0]
    parts = [_OUTBOX, _ASIDE, _POSITIONS]
    if kind == "bridge":
        parts.append(_TRANSFERS)
    if kind == "adapter":
        parts.append(_CALLS)
    return "SELECT " + ", ".join(parts)
