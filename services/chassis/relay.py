"""The relay: outbox rows to Kafka in insertion order, one relay per database, deleted once acknowledged.

It deletes what it read; it never asks for ids above a cursor, since sequences are not commit order, and never uses
SKIP LOCKED, which would let a second relay overtake the first on one key.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.partitioner import partition_for
from services.chassis import kafka, metrics, outbox
from services.chassis.clock import Clock
from services.chassis.database import Connection, describe
from services.chassis.failpoints import failpoint
from services.chassis.failures import is_transient
from services.chassis.logs import log
from services.chassis.pauses import Pause
from services.chassis.records import unpack_headers
from services.chassis.settings import Settings

__all__ = ["Relay"]

_LEADER = 0x5C_03
_READ = "SELECT id, topic, key, headers, value FROM outbox ORDER BY id LIMIT $1"
_LONGEST_PAUSE = 0.5
"""For timers, and for rows that another instance wrote."""
_SEND_SECONDS = 60.0
_SILENCE_SECONDS = 75.0
"""A leader that is silent for longer than any send may take is paused or cut off: PostgreSQL ends its session, and
with it the lock, so that another may lead."""


class Relay:
    """Publishes while it holds the database's advisory lock; otherwise stands by. Fires due timers as well."""

    def __init__(self, settings: Settings, name: str, clock: Clock) -> None:
        self.settings = settings
        self.name = name
        self.clock = clock
        self.wake = asyncio.Event()
        self._pause = Pause(_LONGEST_PAUSE, self.wake)
        self.leading = False
        self.alive = False
        self.producer: AIOKafkaProducer | None = None
        """The producer of the present session."""
        self._partitions: dict[str, int] = {}

    async def run(self) -> None:
        """Relay until cancelled; failures are tried again with a fresh connection and producer."""
        while True:
            try:
                await self._session()
            except (KafkaError, TimeoutError) as error:
                log().warning("relay interrupted", detail=describe(error))
            except Exception as error:
                if not is_transient(error):
                    log().error("relay failed", detail=describe(error))
                else:
                    log().warning("relay interrupted", detail=describe(error))
            self.leading = self.alive = False
            await asyncio.sleep(0.5)

    async def _session(self) -> None:
        db = await self._connect()
        self.producer = producer = kafka.new_producer(self.settings, f"{self.name}-relay-{self.settings.instance}")
        try:
            await producer.start()
            self.alive = True
            while not await db.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER):
                await asyncio.sleep(0.5)
            self.leading = True
            await self._lead(db, producer)
        finally:
            db.terminate()
            await _stop(producer)

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

    async def _lead(self, db: Connection, producer: AIOKafkaProducer) -> None:
        while True:
            await outbox.fire_due_timers(db, self.clock.now())
            while await self.once(db, producer):
                self._pause.found()
            await self._pause.wait()

    async def once(self, db: Connection, producer: AIOKafkaProducer, limit: int = 1000) -> int:
        """Publish up to ``limit`` rows and delete them; gives how many."""
        rows = await db.fetch(_READ, limit)
        if not rows:
            return 0
        failpoint("P4")
        await asyncio.wait_for(self._send(producer, rows), _SEND_SECONDS)
        failpoint("P5")
        await db.execute("DELETE FROM outbox WHERE id = ANY($1)", [row["id"] for row in rows])
        metrics.relayed.inc(len(rows))
        return len(rows)

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[Any]) -> None:
        by_partition: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for row in rows:
            count = self._partitions.get(row["topic"])
            if count is None:
                count = self._partitions[row["topic"]] = await kafka.partition_count(producer, row["topic"])
            by_partition[row["topic"], partition_for(row["key"], count)].append(row)
        await asyncio.gather(*(self._send_partition(producer, *place, rows) for place, rows in by_partition.items()))

    async def _send_partition(self, producer: AIOKafkaProducer, topic: str, partition: int, rows: list[Any]) -> None:
        acknowledged = []
        batch = producer.create_batch()
        for row in rows:
            key, headers = row["key"].encode(), unpack_headers(row["headers"])
            if batch.append(key=key, value=row["value"], timestamp=None, headers=headers) is None:
                batch.close()
                acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=row["value"], timestamp=None, headers=headers)
        batch.close()
        acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*acknowledged)


async def _stop(producer: AIOKafkaProducer) -> None:
    # With idempotence batches never expire: stop() hangs while the broker is away. The outbox keeps the truth.
    try:
        await asyncio.wait_for(producer.stop(), 5)
    except Exception as error:
        log().warning("producer left behind", detail=describe(error))
