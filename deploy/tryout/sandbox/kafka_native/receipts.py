"""Receipts. They are written to an outbox together with their posting, and published from there in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
import structlog
import uuid_utils
from aiokafka import AIOKafkaProducer

from contracts.envelope import Event, encode
from contracts.messages import Message, receipts
from contracts.topics import RECEIPTS, registry_source
from deploy.tryout.sandbox.database import Connection, Pool
from deploy.tryout.sandbox.ledger import Answer
from deploy.tryout.sandbox.settings import SandboxSettings

__all__ = ["Publisher", "enqueue", "write"]

_WRITE = """
INSERT INTO outbox (topic, key, headers, value)
SELECT topic, key, headers::jsonb, value FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
WITH ORDINALITY AS t(topic, key, headers, value, place) ORDER BY place
"""
_READ = "SELECT seq, topic, key, headers::text, value FROM outbox ORDER BY seq LIMIT 1000"
_DELETE = "DELETE FROM outbox WHERE seq = ANY($1)"
_IDLE_SECONDS = 0.5


async def write(connection: Connection, code: str, answers: Iterable[Answer], now: datetime) -> int:
    """Put each answer into the outbox, as often as it is to be given, in the caller's transaction. Gives how many."""
    events = [_event(code, answer, now) for answer in answers for _ in range(answer.copies)]
    await enqueue(connection, RECEIPTS.of(code).name, events)
    return len(events)


async def enqueue(connection: Connection, topic: str, events: Sequence[Event]) -> None:
    """Put events into the outbox, in the caller's transaction."""
    if events:
        rows = [encode(event) for event in events]
        await connection.execute(
            _WRITE,
            [topic] * len(events),
            [event.key for event in events],
            [orjson.dumps([[name, raw.decode()] for name, raw in headers]).decode() for _, headers in rows],
            [value for value, _ in rows],
        )


def _event(code: str, answer: Answer, now: datetime) -> Event:
    return Event(id=str(uuid_utils.uuid7()), source=registry_source(code), time=now, data=_receipt(answer))


def _receipt(answer: Answer) -> Message:
    own: dict[str, Any] = {
        "transfer_id": answer.transfer_id,
        "volunteer_ref": answer.ref,
        "attempt": answer.attempt,
    }
    if answer.result == "accepted":
        assert answer.posted_at is not None
        return receipts.CreditAccepted(**own, delta=answer.delta, posted_at=answer.posted_at)
    if answer.result == "refused":
        return receipts.CreditRefused(**own, reason=answer.reason or "refused_by_home", retry=answer.retry)
    return receipts.CreditUnknown(**own)


class Publisher:
    """Publishes the outbox in order, and deletes rows that the broker acknowledged. One for each database."""

    def __init__(self, settings: SandboxSettings, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self._wanted = asyncio.Event()
        self.ready = False

    def wake(self) -> None:
        """Say that there are rows to publish."""
        self._wanted.set()

    async def run(self) -> None:
        """Publish until cancelled, or until a failure. The next run publishes again what is still in the outbox."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka,
            acks="all",
            enable_idempotence=self._settings.profile != "embedded",
            request_timeout_ms=15_000,
        )
        try:
            await producer.start()
            self.ready = True
            await self._publish(producer)
        finally:
            self.ready = False
            await _close(producer)

    async def _publish(self, producer: AIOKafkaProducer) -> None:
        while True:
            self._wanted.clear()
            rows = await self._pool.fetch(_READ)
            if not rows:
                try:
                    await asyncio.wait_for(self._wanted.wait(), _IDLE_SECONDS)
                except TimeoutError:
                    continue
                continue
            await asyncio.wait_for(_send(producer, rows), 60)
            await self._pool.execute(_DELETE, [row["seq"] for row in rows])


async def _send(producer: AIOKafkaProducer, rows: Sequence[object]) -> None:
    acknowledged = []
    for row in rows:
        headers = [(name, text.encode()) for name, text in orjson.loads(row["headers"])]  # type: ignore[index]
        future = await producer.send(row["topic"], row["value"], key=row["key"].encode(), headers=headers)  # type: ignore[index]
        acknowledged.append(future)
    await asyncio.gather(*acknowledged)


async def _close(producer: AIOKafkaProducer) -> None:
    # With idempotence batches never expire, so an orderly stop can hang while the broker is away.
    try:
        await asyncio.wait_for(producer.stop(), 5)
    except Exception as error:
        structlog.get_logger().warning("producer_left_behind", error=repr(error))
