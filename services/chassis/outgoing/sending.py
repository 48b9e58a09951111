"""Rows of the outbox to Kafka: each partition by itself and in order, and for each what was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from services.chassis.base.database import describe
from services.chassis.base.logs import log
from services.chassis.log.records import unpack_headers

__all__ = ["WHOLE_TOPIC", "Place", "Row", "Sent", "abandon", "send"]

Place: TypeAlias = tuple[str, int]
"""A topic and one of its partitions, or ``WHOLE_TOPIC``."""
Row: TypeAlias = Any
"""A row of the outbox with id, topic, key, headers and value."""

WHOLE_TOPIC: Final = -1
"""Stands in the place of a partition's number if the topic is missing: nobody knows how many partitions it has."""
ANSWER_SECONDS: Final = 10.0
"""Seconds that a partition's leader may take for one batch."""
_ROUND_SECONDS: Final = 30.0
"""Seconds after which no further batch is begun; the rows that are left are read again."""
_END_SECONDS: Final = 5.0


@dataclass
class Sent:
    """What became of the rows of one partition."""

    acknowledged: list[int]
    """Their ids."""
    error: Exception | None = None
    """Why those after them were not acknowledged; no later row was sent."""
    end: int | None = None
    """The offset behind the last of them."""

    @property
    def too_large(self) -> bool:
        """Whether the broker refused a batch, or a single row, for its size."""
        return isinstance(self.error, MessageSizeTooLargeError)


async def send(
    producer: AIOKafkaProducer, by_place: Mapping[Place, Sequence[Row]], singly: frozenset[str] = frozenset()
) -> dict[Place, Sent]:
    """Send the rows of each partition in order, all partitions at the same time; raises nothing of Kafka's.

    ``singly``: topics whose batches have one row each. After an error the caller abandons this producer: it still holds
    the batch that was not acknowledged, and the numbers by which the broker recognises repeats have a gap.
    """
    until = asyncio.get_running_loop().time() + _ROUND_SECONDS
    found = await asyncio.gather(
        *(_send_place(producer, place, rows, place[0] in singly, until) for place, rows in by_place.items())
    )
    return dict(zip(by_place, found, strict=True))


async def _send_place(
    producer: AIOKafkaProducer, place: Place, rows: Sequence[Row], singly: bool, until: float
) -> Sent:
    topic, partition = place
    sent = Sent([])
    try:
        at = 0
        while at < len(rows) and (not at or asyncio.get_running_loop().time() < until):
            batch = producer.create_batch()
            ids: list[int] = []
            for row in rows[at : at + 1] if singly else rows[at:]:
                headers = unpack_headers(row["headers"])
                if batch.append(key=row["key"].encode(), value=row["value"], timestamp=None, headers=headers) is None:
                    break
                ids.append(row["id"])
            batch.close()
            async with asyncio.timeout(ANSWER_SECONDS):
                told = await (await producer.send_batch(batch, topic, partition=partition))
            if told.offset < 0:  # a repeat of a batch whose offset the broker no longer knows: it is sent again
                raise RuntimeError("acknowledged without an offset")
            sent.end = told.offset + len(ids)
            sent.acknowledged += ids
            at += len(ids)
    except TimeoutError:
        sent.error = TimeoutError(f"not acknowledged within {ANSWER_SECONDS:.0f} s")
    except Exception as error:
        sent.error = error
    return sent


async def abandon(producer: AIOKafkaProducer) -> None:
    """End a producer together with the rows that it holds; the outbox still has them.

    The producer's own ``stop`` waits until all is acknowledged, with idempotence perhaps for ever. If one gives up
    waiting, a sender stays behind and repeats old rows for ever.
    """
    # There is no public way to end the sender alone.
    producer._closed = True
    sender = producer._sender
    try:
        if sender is not None:
            async with asyncio.timeout(_END_SECONDS):
                await sender.close()
    except Exception as error:
        log().debug("sender ended with an error", detail=describe(error))
    try:
        async with asyncio.timeout(_END_SECONDS):
            await producer.client.close()
    except Exception as error:
        log().warning("producer left behind", detail=describe(error))
