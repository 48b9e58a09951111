"""The relay sends rows of the outbox to Kafka in insertion order, and deletes them once they are acknowledged.

A database has one relay. It deletes the rows that it has read. It never asks for ids above a cursor, since sequences
are not commit order, and never uses SKIP LOCKED, which would let a second relay overtake the first on one key.

A partition that takes nothing holds up its own rows and no others (``stuck``). When the broker does not answer at all,
everything stays as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from contracts.partitioner import partition_for
from services.chassis.base import metrics
from services.chassis.base.clock import Clock
from services.chassis.base.database import Connection, Opened, alone, describe
from services.chassis.base.failpoints import failpoint
from services.chassis.base.logs import Episode
from services.chassis.base.persistent import persistent
from services.chassis.base.polling import Polling
from services.chassis.base.settings import Settings
from services.chassis.batch import outbox
from services.chassis.log import kafka
from services.chassis.outgoing import said
from services.chassis.outgoing.sending import WHOLE_TOPIC, Place, Row, Sent, abandon, send
from services.chassis.outgoing.stuck import Stuck

__all__ = ["Relay"]

_LEADER = 0x5C_03
_READ = "SELECT id, topic, key, headers, value FROM outbox WHERE stuck IS NULL ORDER BY id LIMIT $1"
_FIRST = "SELECT id FROM outbox WHERE stuck IS NULL ORDER BY id LIMIT 1"
_LONGEST_INTERVAL = 0.5
"""Seconds between two looks at most. They find due timers, and rows that another process wrote."""
_METADATA_SECONDS = 10.0
_START_SECONDS = 15.0
_SILENCE_SECONDS = 75.0
"""A leader that is silent for longer than any send may take is stopped or cut off. PostgreSQL then ends its session and
the lock with it, so that another process may lead."""


class Relay:
    """Publishes while it holds the database's advisory lock; otherwise stands by. Fires due timers as well."""

    def __init__(self, settings: Settings, name: str, clock: Clock) -> None:
        self.settings = settings
        self.name = name
        self.instance = 0
        self.clock = clock
        self.opened: Opened | None = None
        self.wake = asyncio.Event()
        self._polling = Polling(_LONGEST_INTERVAL, self.wake)
        self.leading = False
        self.alive = False
        self.producer: AIOKafkaProducer | None = None
        """The producer of the present session."""
        self.interrupted = Episode("relay interrupted")
        """Active while the database or every broker is away."""
        self._moved_at = time.monotonic()
        self._first: int | None = None
        self._partitions: dict[str, int] = {}
        self._singly: set[str] = set()
        self._said_since = False
        """Whether this database was restored, and a later life of it sent messages that this life may send again."""
        self._stuck = Stuck(settings)

    @property
    def trouble(self) -> list[dict[str, Any]]:
        """Topics and partitions that take no rows; empty while another process leads, which knows them."""
        return self._stuck.troubles

    def silent(self) -> float:
        """Seconds since this relay, or the leader if this relay stands by, last dealt with rows or found none."""
        return time.monotonic() - self._moved_at

    async def run(self) -> None:
        """Relay until cancelled; failures are tried again with a fresh connection and producer."""
        await persistent(self._session, self.interrupted)

    async def _session(self) -> None:
        db = await self._connect()
        try:
            if self.opened is not None:
                await self.opened(db)
            await self._renew()
            self.alive = True
            await alone(db, _LEADER, lambda: self._stand_by(db))
            self.leading = True
            await self._lead(db)
        finally:
            self.leading = self.alive = False
            db.terminate()
            await self._stuck.end()
            if self.producer is not None:
                await abandon(self.producer)

    async def _renew(self) -> None:
        """Replace the producer; the old producer and all that it holds is given up."""
        if self.producer is not None:
            await abandon(self.producer)
        self.producer = kafka.new_producer(self.settings, f"{self.name}-relay-{self.instance}")
        async with asyncio.timeout(_START_SECONDS):
            await self.producer.start()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            self.settings.database.get_secret_value(),
            timeout=10,
            command_timeout=60,
            server_settings={
                "application_name": f"{self.name}-relay",
                "timezone": "UTC",
                "idle_session_timeout": f"{_SILENCE_SECONDS * 1000:.0f}",
            },
        )

    async def _stand_by(self, db: Connection) -> None:
        """See whether the leader moves. A session that hangs keeps its lock, and then no process leads."""
        self.interrupted.over()
        first = await db.fetchval(_FIRST)
        if first is None or first != self._first:
            self._moved_at = time.monotonic()
        self._first = first

    async def _lead(self, db: Connection) -> None:
        self._partitions.clear()
        await self._stuck.begin(db)
        self._said_since = await said.some_open(db)
        while True:
            await outbox.fire_due_timers(db, self.clock.now())
            await self._stuck.look(db)
            while await self.once(db):
                self._moved_at = time.monotonic()
                self._polling.found()
                await self._stuck.look(db)
            self._moved_at = time.monotonic()
            self.interrupted.over()
            await self._polling.wait()

    async def once(self, db: Connection, limit: int = 1000) -> int:
        """Publish up to ``limit`` rows and delete those acknowledged; rows of places that take nothing are marked.

        Gives how many rows it has dealt with. Raises ``KafkaError`` and ``TimeoutError`` when no broker answers.
        """
        rows = await db.fetch(_READ, limit)
        if not rows:
            return 0
        failpoint("P4")
        count = len(rows)
        if self._said_since:
            rows = await said.sift(db, rows, self.clock)
        going, stuck = await self._sorted(rows)
        assert self.producer is not None
        sent = await send(self.producer, going, frozenset(self._singly))
        failpoint("P5")
        acknowledged = [id for one in sent.values() for id in one.acknowledged]
        if acknowledged:
            ends = {place: one.end for place, one in sent.items() if one.end is not None}
            await said.tell(db, acknowledged, ends)
            metrics.own().relayed.inc(len(acknowledged))
        failed = {place: one for place, one in sent.items() if one.error is not None}
        if failed:
            for place in await self._judged(failed):
                stuck[place] = going[place][len(failed[place].acknowledged) :]
        await self._stuck.mark(db, stuck)
        return count

    async def _sorted(self, rows: Sequence[Row]) -> tuple[dict[Place, list[Row]], dict[Place, list[Row]]]:
        """Rows by their place, in order: those that go out, and those that cannot at present."""
        going: dict[Place, list[Row]] = defaultdict(list)
        stuck: dict[Place, list[Row]] = defaultdict(list)
        asked = False
        for row in rows:
            topic = row["topic"]
            if topic not in self._partitions and (topic, WHOLE_TOPIC) not in self._stuck and not asked:
                await self._ask()
                asked = True
            count = self._partitions.get(topic)
            if count is None and (topic, WHOLE_TOPIC) not in self._stuck:
                self._stuck.add((topic, WHOLE_TOPIC), str(kafka.lacking({}, topic, None)))
            place = (topic, WHOLE_TOPIC)
            if count is not None and place not in self._stuck:
                place = (topic, partition_for(row["key"], count))
            (stuck if place in self._stuck else going)[place].append(row)
        return going, stuck

    async def _ask(self) -> dict[str, dict[int, bool]]:
        """The topics and partitions that the broker has; the numbers of partitions are kept."""
        assert self.producer is not None
        async with asyncio.timeout(_METADATA_SECONDS):
            found = await kafka.leaders(self.producer)
        self._partitions = {topic: len(partitions) for topic, partitions in found.items() if partitions}
        return found

    async def _judged(self, failed: Mapping[Place, Sent]) -> list[Place]:
        """Find out which of these places take nothing, and remember them. Afterwards there is another producer."""
        found = await self._ask()
        stuck = []
        for place, sent in failed.items():
            assert sent.error is not None
            if sent.too_large and place[0] not in self._singly:
                self._singly.add(place[0])  # the batch is too large for this topic, its single rows perhaps not
                continue
            self._stuck.add(place, kafka.lacking(found, *place) or describe(sent.error))
            stuck.append(place)
        await self._renew()
        return stuck
