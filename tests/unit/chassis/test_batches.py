"""Whatever lies in a log is handed over: records, or one marker in the place of those that cannot be read."""

from __future__ import annotations

import gzip
import random
import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from contracts.envelope import MAX_BYTES
from contracts.limits import MAX_BATCH_RECORDS, MAX_HEADER_BYTES
from services.chassis.log.batches import FIRST_BYTES, PartRead, behind_empty, install
from services.chassis.log.records import record_of
from tests.support.batches import CODECS, RawRecord, batch_bytes

HEADER = DefaultRecordBase.HEADER_STRUCT

BASE, LENGTH, ATTRIBUTES, DELTA, STAMP, COUNT = 0, 1, 5, 6, 7, 12

install()


def numbered(count: int, **more: Any) -> list[RawRecord]:
    return [RawRecord(b"k", b"v%d" % number, timestamp=number, **more) for number in range(count)]


def sealed(batch: bytes, body: bytes | None = None, **fields: int) -> bytes:
    """The batch with another body, or other fields of its header, and a checksum that agrees."""
    header = list(HEADER.unpack_from(batch))
    body = batch[HEADER.size :] if body is None else body
    for name, value in fields.items():
        header[globals()[name]] = value
    header[LENGTH] = HEADER.size + len(body) - 12
    packed = bytearray(HEADER.pack(*header) + body)
    packed[17:21] = struct.pack(">I", calc_crc32c(bytes(packed[21:])))
    return bytes(packed)


def read(fetched: bytes, at: int = 0, aborted: Any = None) -> tuple[list[Any], int]:
    """What a consumer hands over, fetch by fetch, and where it stands then."""
    found: list[Any] = []
    while True:
        part, following = fetch(_behind(fetched, at), at, aborted)
        found += part
        if following == at:
            return found, at
        at = following


def fetch(fetched: bytes, at: int, aborted: Any = None) -> tuple[list[Any], int]:
    """What comes of one fetch, and where it is read on."""
    place, batches = TopicPartition("topic", 0), fetcher.MemoryRecords(fetched)
    reading = fetcher.PartitionRecords(place, batches, aborted, at, None, None, True, fetcher.READ_COMMITTED)
    return list(reading), reading.next_fetch_offset


def _behind(log: bytes, at: int) -> bytes:
    """The log from the batch that holds this offset, as a broker gives it; nothing from its end."""
    start = place = 0
    while place < len(log):
        base, length = struct.unpack_from(">qi", log, place)
        start = place if base <= at else start
        last = base + struct.unpack_from(">i", log, place + 23)[0]
        place += 12 + length
    return log[start:] if at <= last else b""


def offsets(found: list[Any]) -> list[Any]:
    return [(one.offset, one.part.last) if isinstance(one, PartRead) else one.offset for one in found]


@pytest.mark.parametrize("codec", CODECS.values())
def test_batches_of_every_codec_are_read_with_names_of_all_bytes(codec: int) -> None:
    strange = ((b"\xff\xfe", b"1"), (b"", None), (b"", b""), ("名".encode(), b"\0"))
    found, following = read(batch_bytes([*numbered(2), RawRecord(None, None, strange), *numbered(1)], codec))
    assert offsets(found) == [0, 1, 2, 3]
    assert following == 4
    assert found[2].headers == (("\udcff\udcfe", b"1"), ("", None), ("", b""), ("名", b"\0"))
    assert (found[2].key, found[2].value, found[1].value, found[1].timestamp) == (None, None, b"v1", 1)


@pytest.mark.parametrize("codec", [number for number in CODECS.values() if number])
def test_a_batch_that_opens_too_wide_is_one_marker_and_what_follows_is_read(codec: int) -> None:
    bomb = batch_bytes([RawRecord(b"k", bytes(5 << 20))] * 2, codec)
    log = bomb + sealed(batch_bytes(numbered(1)), BASE=2)
    (marker, *rest), following = fetch(log, 0)
    # What a consumer has opened at once is bounded: it stops behind the bomb, and fetches the rest again.
    assert (offsets([marker]), rest, following) == ([(0, 1)], [], 2)
    assert offsets(read(log)[0]) == [(0, 1), 2]
    assert "more than 8388608 bytes" in marker.part.detail
    assert marker.part.reason == "unreadable"
    assert marker.part.size == len(bomb)
    assert marker.value == bomb[:FIRST_BYTES]
    again, _ = read(bomb, at=1)  # as the last message of a stored position is read back
    assert offsets(again) == [(1, 1)]
    assert again[0].part.digest == marker.part.digest


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda batch: batch[:-1] + b"\x55", id="a wrong checksum"),
        pytest.param(lambda batch: sealed(batch, ATTRIBUTES=5), id="an unknown codec"),
        pytest.param(lambda batch: sealed(batch, ATTRIBUTES=4), id="no zstd"),
        pytest.param(lambda batch: sealed(batch, gzip.compress(b"junk"), ATTRIBUTES=1), id="junk that was compressed"),
        pytest.param(lambda batch: sealed(batch, b"\xff" * 40), id="junk"),
        pytest.param(lambda batch: batch[:7] + b"\x02" + batch[8:16] + b"\0" + batch[17:], id="format 0"),
        pytest.param(lambda batch: batch[:7] + b"\x02" + batch[8:16] + b"\1" + batch[17:], id="format 1"),
    ],
)
def test_a_batch_that_cannot_be_read_is_one_marker(broken: Any) -> None:
    batch = broken(batch_bytes(numbered(3)))
    found, following = read(batch + sealed(batch_bytes(numbered(2)), BASE=3))
    assert offsets(found) == [(0, 2), 3, 4]
    assert following == 5


def test_a_batch_whose_header_contradicts_itself_is_marked_offset_by_offset() -> None:
    for count in (-1, 0, 2, 4, 2**31 - 1):
        found, following = read(
            sealed(batch_bytes(numbered(3)), COUNT=count) + sealed(batch_bytes(numbered(2)), BASE=3)
        )
        assert offsets(found) == [(0, 0), (1, 1), (2, 2), 3, 4]
        assert following == 5


def test_a_batch_of_too_many_records_is_one_marker() -> None:
    many = sealed(batch_bytes(numbered(1)), COUNT=MAX_BATCH_RECORDS + 1, DELTA=MAX_BATCH_RECORDS)
    assert offsets(read(many)[0]) == [(0, MAX_BATCH_RECORDS)]


def test_records_before_a_broken_one_are_read_and_the_marker_reaches_from_it_to_the_end() -> None:
    batch = batch_bytes(numbered(4))
    body = bytearray(batch[HEADER.size :])
    third = 2 * len(body) // 4
    for spoilt in (b"\x7f", b"\x00"):
        torn = sealed(batch, bytes(body[:third]) + spoilt + bytes(body[third + 1 :]))
        found, following = read(torn)
        assert offsets(found) == [0, 1, (2, 3)]
        assert following == 4
        assert offsets(read(torn, at=3)[0]) == [(3, 3)]
        assert read(torn, at=3)[0][0].part.digest == found[2].part.digest


def test_offsets_of_records_that_leave_their_batch_or_go_back_never_hide_another_message() -> None:
    """Within a batch a client may write what it likes: one too high, and records of others behind it were left out."""
    batch = batch_bytes(numbered(2))
    body = bytearray(batch[HEADER.size :])
    at = len(body) // 2 + 3  # the second record's length, attributes and time stand before it
    for odd in (0, 90, 1):
        body[at] = odd  # in zigzag: 0, 45, -1
        found, following = read(sealed(batch, bytes(body)) + sealed(batch, BASE=2))
        assert offsets(found) == [0, (1, 1), 2, 3]
        assert following == 4


def test_what_is_beyond_the_limits_is_cut_and_keeps_its_digest() -> None:
    large = RawRecord(b"k", b"x" * (MAX_BYTES + 1), ((b"ce_id", b"7"),))
    crowded = RawRecord(b"k" * 5000, b"v", ((b"", b""),) * 2 + ((b"n", b"y" * MAX_HEADER_BYTES),))
    explosive = RawRecord(None, b"v", ((b"", b""),) * 150_000)
    wide = RawRecord(b"k", bytes(2 << 20))  # opened batches of more than 1 MiB are read by another parser
    for batch in ([large, crowded, explosive, *numbered(1)], [large, crowded, explosive, *numbered(1), wide]):
        found, _ = read(batch_bytes(batch))
        assert offsets(found)[:4] == [(0, 0), (1, 1), (2, 2), 3]
        assert [len(one.value) for one in found[:4]] == [FIRST_BYTES, 1, 1, 2]
        assert [len(one.key or b"") for one in found[:4]] == [1, FIRST_BYTES, 0, 1]
        assert [one.headers for one in found[:4]] == [(("ce_id", b"7"),), (), (), ()]
        assert found[0].part.size == MAX_BYTES + 1
        assert found[0].part.reason == "too_large"


def test_aborted_transactions_and_control_batches_are_passed_over() -> None:
    def of(producer: int, base: int, attributes: int) -> bytes:
        header = bytearray(sealed(batch_bytes(numbered(1)), BASE=base, ATTRIBUTES=attributes))
        header[43:51] = producer.to_bytes(8, "big")
        return sealed(bytes(header))

    log = of(7, 0, 0x10) + of(8, 1, 0x10) + of(7, 2, 0x30) + sealed(batch_bytes(numbered(1)), BASE=3)
    found, following = read(log, aborted=[(7, 0)])
    assert offsets(found) == [1, 3]
    assert following == 4
    read(log + of(8, 4, 0x30) + of(7, 5, 0x30), at=4)
    assert [behind_empty(TopicPartition("topic", 0), offset) for offset in (3, 4, 5, 6)] == [3, 6, 6, 6]


@pytest.mark.parametrize("stamp", [-1, 0, 2**63 - 1, -(2**63)])
def test_any_time_of_a_record_fits_into_a_column(stamp: int) -> None:
    batch = sealed(batch_bytes(numbered(3)), STAMP=stamp)
    large = sealed(batch_bytes([*numbered(3), RawRecord(b"k", bytes(2 << 20))]), STAMP=stamp)
    for one in read(batch)[0] + read(large)[0]:
        assert -(2**63) <= one.timestamp < 2**63


def test_any_change_of_any_byte_is_read_to_the_end() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        codec = rng.choice(list(CODECS.values()))
        first = batch_bytes(numbered(rng.randint(1, 5), headers=((b"\xff", None), (b"n", b"v"))), codec)
        count = HEADER.unpack_from(first)[COUNT]
        changed = bytearray(first)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(17, len(first))] = rng.randrange(256)
        batch = bytes(changed)
        if rng.random() < 0.9:  # or the checksum is wrong
            batch = sealed(batch, DELTA=count - 1, ATTRIBUTES=codec)
        found, following = read(batch + sealed(batch_bytes(numbered(1)), BASE=count))
        covered = [n for one in map(record_of, found) for n in range(one.offset, one.last + 1)]
        assert covered == list(range(count + 1)), batch
        assert following == count + 1
        assert DefaultRecordBatch(first).next_offset == count
