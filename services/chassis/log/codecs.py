"""Decompression of Kafka batches within a bound, since whoever wrote a batch decides how large it becomes."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import cramjam

__all__ = ["GZIP", "LZ4", "SNAPPY", "ZSTD", "Unreadable", "decompress"]

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
"""Numbers of the codecs in a batch's attributes."""

_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_NO_ROOM: Final = "failed to write whole buffer"


class Unreadable(ValueError):
    """A batch, or a part of it, that cannot be read; the text says why."""


def decompress(codec: int, data: memoryview, most: int) -> bytes:
    """What was compressed with the codec of this number, at most ``most`` bytes; more memory than that is never used.

    Raises ``Unreadable``.
    """
    if codec == GZIP:
        return _gzip(data, most)
    if codec == SNAPPY:
        return _snappy(data, most)
    if codec == LZ4:
        return _into_room(cramjam.lz4.decompress_into, data, most)
    if codec == ZSTD:
        return _into_room(cramjam.zstd.decompress_into, data, most)
    raise Unreadable(f"no codec has the number {codec}")


def _gzip(data: memoryview, most: int) -> bytes:
    opener = zlib.decompressobj(wbits=31)  # with the header of gzip
    try:
        opened = opener.decompress(data, most + 1)
    except zlib.error as error:
        raise Unreadable(f"gzip: {error}") from None
    if len(opened) > most:
        raise _too_much(most)
    if not opener.eof:
        raise Unreadable("gzip: cut off")
    if opener.unused_data:
        raise Unreadable("gzip: something stands behind its end")
    return opened


def _into_room(decompress_into: Callable[[Any, Any], int], data: memoryview, most: int) -> bytes:
    # Pages of the room that nothing is written to take no memory.
    with mmap.mmap(-1, most) as room:
        try:
            length = decompress_into(data, room)
        except cramjam.DecompressionError as error:
            raise _too_much(most) if _NO_ROOM in str(error) else Unreadable(str(error)) from None
        return room[:length]


def _snappy(data: memoryview, most: int) -> bytes:
    blocks = [data] if bytes(data[: len(_XERIAL)]) != _XERIAL else list(_xerial_blocks(data))
    try:
        if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > most:  # by what each block says of itself
            raise _too_much(most)
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)
    except cramjam.DecompressionError as error:
        raise Unreadable(str(error)) from None


def _xerial_blocks(data: memoryview) -> Iterator[memoryview]:
    """The blocks of the framing of Java's library: a header, then blocks with their lengths before them."""
    at = _XERIAL_HEADER
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        at += 4 + length
        if at > len(data):
            raise Unreadable("snappy: cut off")
        yield data[at - length : at]


def _too_much(most: int) -> Unreadable:
    return Unreadable(f"more than {most} bytes when it is opened")
