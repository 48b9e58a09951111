"""The baselines: A, what FastStream's documentation teaches, and B1, its batch of parsed models.

A: one message a call, ``AckPolicy.ACK``, a pydantic model as body, one transaction an event. B1: ``batch=True`` and a
list of models, per-event statements in one transaction a batch. Both take a connection from asyncpg's pool for each
call, as its documentation does, have the index that their reading of a person's records needs, and lock nothing: a
single consumer needs no lock.
"""

from __future__ import annotations

import asyncio
import hashlib

import asyncpg
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from contracts.messages.attendance import AttestService
from services.chassis.base.database import Pool
from tests.lab.benchmarks.forms.common import Order, topic_of
from tests.lab.benchmarks.forms.per_event import apply
from tests.lab.benchmarks.forms.stopwatch import Stopwatch

__all__ = ["run_batched", "run_single"]

_BATCH = 500
"""As many as ours takes."""


async def run_single(order: Order) -> Stopwatch:
    """A: one message, one transaction, one acknowledgement."""
    stopwatch, broker = Stopwatch(order.events), _broker(order)
    pool = await asyncpg.create_pool(order.database, min_size=1, max_size=2)

    @broker.subscriber(order.topic, group_id=order.group, auto_offset_reset="earliest", ack_policy=AckPolicy.ACK)
    async def handle(command: AttestService, message: KafkaMessage) -> None:
        await stopwatch.gate.wait()
        with stopwatch.watching():
            async with pool.acquire() as db, db.transaction():
                await apply(db, command, message.headers, hashlib.blake2b(message.body, digest_size=16).digest())
        stopwatch.count(1)

    return await _run(order, broker, stopwatch, pool)


async def run_batched(order: Order) -> Stopwatch:
    """B1: many messages parsed by FastStream, one transaction, per-event statements."""
    stopwatch, broker = Stopwatch(order.events), _broker(order)
    pool = await asyncpg.create_pool(order.database, min_size=1, max_size=2)

    @broker.subscriber(
        order.topic,
        batch=True,
        max_records=_BATCH,
        group_id=order.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
    )
    async def handle(commands: list[AttestService], message: KafkaMessage) -> None:
        await stopwatch.gate.wait()
        # The message's own headers are the first record's, so each record's are read from what Kafka gave.
        raw = message.raw_message
        assert isinstance(raw, tuple)
        with stopwatch.watching():
            async with pool.acquire() as db, db.transaction():
                for command, record in zip(commands, raw, strict=True):
                    headers = {name: value.decode() for name, value in record.headers}
                    await apply(db, command, headers, hashlib.blake2b(record.value or b"", digest_size=16).digest())
        stopwatch.count(len(commands))

    return await _run(order, broker, stopwatch, pool)


def _broker(order: Order) -> KafkaBroker:
    return KafkaBroker(order.kafka, logger=None, allow_auto_create_topics=False)


async def _run(order: Order, broker: KafkaBroker, stopwatch: Stopwatch, pool: Pool) -> Stopwatch:
    await broker.start()
    [subscriber] = broker.subscribers
    partitions = topic_of(order.topic).partitions

    def assigned() -> bool:
        return len(subscriber.consumer.assignment()) == partitions  # type: ignore[attr-defined]

    await asyncio.wait_for(stopwatch.open_when(assigned), 60)
    try:
        await stopwatch.finished()
    finally:
        await broker.stop()
        await pool.close()
    return stopwatch
