"""The partitioner of every topic: in which partition a key belongs. Writers use it, and readers check with it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

__all__ = ["murmur2", "partition_for"]

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit hash of the Java client's default partitioner, without sign."""
    length = len(data)
    found = _SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _FACTOR & _MASK
        found = (found * _FACTOR & _MASK) ^ ((word ^ word >> 24) * _FACTOR & _MASK)
    if whole < length:
        found = (found ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _MASK
    found = (found ^ found >> 13) * _FACTOR & _MASK
    return found ^ found >> 15


@lru_cache(maxsize=16384)  # keys repeat, and a hash takes a fifth of the time of decoding
def partition_for(key: str, partitions: int) -> int:
    """The partition of this key in a topic with so many partitions."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
