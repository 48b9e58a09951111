"""Parcels on their way to the broker: as finished batches, or one by one inside a transaction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.lab.fuzz.records import DENSE_BOMB, Parcel, Spec
from tests.support.batches import BatchWriter, RawRecord, batch_bytes

__all__ = ["Wire"]

_NOISE = 980 << 10


def _packed(specs: Sequence[Spec], codec: int) -> bytes:
    if specs[0].kind in ("bomb", DENSE_BOMB):
        return _bomb(len(specs), len(specs[0].value or b""), codec, _NOISE if specs[0].kind == DENSE_BOMB else 0)
    return batch_bytes([RawRecord(spec.key, spec.value, spec.headers, spec.timestamp) for spec in specs], codec)


@lru_cache(maxsize=20)  # each takes seconds to compress, and all bombs of a kind are alike
def _bomb(count: int, size: int, codec: int, noise: int) -> bytes:
    value = random.Random(noise).randbytes(noise) + bytes(size - noise)
    return batch_bytes([RawRecord(b"bomb", value)] * count, codec)


class Wire:
    """Writes parcels; ``refused`` counts by error those that the broker did not take."""

    def __init__(self, address: str, seed: int) -> None:
        self.refused: dict[str, int] = {}
        self._rng = random.Random(seed)
        self._batches = BatchWriter(address)
        self._transactions = AIOKafkaProducer(bootstrap_servers=address, transactional_id=f"fuzz-{seed}")

    async def __aenter__(self) -> Wire:
        await self._batches.__aenter__()
        await self._transactions.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transactions.stop()
        await self._batches.__aexit__()

    async def write(self, parcel: Parcel) -> int | None:
        """Write one parcel; gives the offset of its first record, or None where the broker refused it."""
        if not parcel.specs:
            return None
        try:
            if parcel.ends is not None:
                return await self._in_transaction(parcel)
            return await self._as_bytes(parcel)
        except KafkaError as error:
            name = type(error).__name__
            self.refused[name] = self.refused.get(name, 0) + len(parcel.specs)
            return None

    async def _as_bytes(self, parcel: Parcel) -> int:
        packed = await asyncio.to_thread(_packed, parcel.specs, parcel.codec)
        if parcel.cut:
            changed = bytearray(packed)
            changed[self._rng.randrange(17, len(changed))] ^= 1 << self._rng.randrange(8)
            packed = bytes(changed)
        return await self._batches.write(parcel.topic, parcel.partition, packed)

    async def _in_transaction(self, parcel: Parcel) -> int:
        await self._transactions.begin_transaction()
        offsets = []
        for spec in parcel.specs:
            sent = await self._transactions.send_and_wait(
                parcel.topic,
                spec.value,
                key=spec.key,
                partition=parcel.partition,
                headers=[(name.decode(), value) for name, value in spec.headers],
            )
            offsets.append(sent.offset)
        if parcel.ends == "commit":
            await self._transactions.commit_transaction()
        else:
            await self._transactions.abort_transaction()
        return int(offsets[0])
