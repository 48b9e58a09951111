"""A batch that cannot be read, and a record beyond the limits: set aside once, told to their sender, passed over."""

from __future__ import annotations

import hashlib

import pytest
from aiokafka import AIOKafkaConsumer

from contracts.envelope import MAX_BYTES, decode
from contracts.messages.refusals import MessageRefused
from contracts.partitioner import partition_for
from services.chassis.log.batches import FIRST_BYTES
from services.chassis.log.records import unpack_headers
from services.chassis.process.runtime import Runtime
from tests.support.batches import CODECS, BatchWriter, RawRecord, batch_bytes
from tests.support.rig import Rig, http, release, release_raised, standing
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually

REF = "ann"


def raw(ref: str, delta: int, **more: bytes) -> RawRecord:
    key, value, headers = as_record(credit(ref, delta))
    return RawRecord(key, value + more.get("padding", b""), tuple((name.encode(), text) for name, text in headers))


async def write(rig: Rig, *batches: bytes) -> list[int]:
    partition = partition_for(REF, rig.tally.inlet.partitions)
    async with BatchWriter(rig.settings.kafka) as writer:
        return [await writer.write(rig.tally.inlet.name, partition, batch) for batch in batches]


async def told(rig: Rig) -> list[tuple[str, str]]:
    """Which messages were refused, and why, as their sender reads it."""
    async with AIOKafkaConsumer(
        rig.tally.outlet.name, bootstrap_servers=rig.settings.kafka, auto_offset_reset="earliest"
    ) as consumer:
        found: list[tuple[str, str]] = []
        while not found:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                said = [decode(record.value, record.headers).data for record in records]
                found += [(one.message_id, one.reason) for one in said if isinstance(one, MessageRefused)]
        return found


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_bomb_is_one_row_that_is_told_and_neither_lag_nor_restart_stumbles_over_it(
    rig: Rig, codec: str
) -> None:
    bomb = batch_bytes([RawRecord(b"k", bytes(15 << 20))] * 2, CODECS[codec])
    async with rig.running() as runtime:
        first, _ = await write(rig, bomb, batch_bytes([raw(REF, 5)]))
        await eventually(lambda: _is(rig, 5))
        row = await rig.db.fetchrow("SELECT * FROM set_aside")
        assert row is not None
        assert row["reason"] == "unreadable"
        assert row["value"][61:] == bomb[61:FIRST_BYTES]
        assert (row["offset"], row["last_offset"], row["size"]) == (first, first + 1, len(bomb))
        place = f"{row['topic']}/{row['partition']}/{first}"
        assert await told(rig) == [(place, "unreadable")]
        await _released_is_not_whole_and_can_be_discarded(runtime, rig, "unreadable")
    async with rig.running():  # the last message of this partition is read back
        await write(rig, bomb)
        await eventually(lambda: _aside(rig, {"unreadable": 1}))
    async with rig.running():
        await write(rig, batch_bytes([raw(REF, 6)]))
        await eventually(lambda: _is(rig, 11))
    assert await rig.aside() == {"unreadable": 1}


async def test_a_record_beyond_the_limit_is_kept_as_its_digest_and_its_first_bytes(rig: Rig) -> None:
    large = raw(REF, 5, padding=b" " * MAX_BYTES)
    id = dict(large.headers)[b"ce_id"]
    async with rig.running() as runtime:
        await write(rig, batch_bytes([large, raw(REF, 7)]))
        await eventually(lambda: _is(rig, 7))
        row = await rig.db.fetchrow("SELECT * FROM set_aside")
        assert row is not None
        assert large.value is not None
        assert row["reason"] == "too_large"
        assert row["offset"] == row["last_offset"]
        assert row["value"] == large.value[:FIRST_BYTES]
        assert row["size"] == len(large.value)
        assert id is not None
        assert await told(rig) == [(id.decode(), "too_large")]
        assert row["digest"] == hashlib.blake2b(large.value, digest_size=16).digest()
        await _released_is_not_whole_and_can_be_discarded(runtime, rig, "too_large")


async def test_a_header_whose_name_is_not_utf_8_changes_nothing_about_its_message(rig: Rig) -> None:
    odd = raw(REF, 5)
    odd = RawRecord(odd.key, odd.value, (*odd.headers, (b"\xff\xfe", b"x"), (b"\xff\xfe", None)))
    async with rig.running():
        await write(rig, batch_bytes([raw(REF, 1), odd, raw(REF, 2)]))
        await eventually(lambda: _is(rig, 8))
    async with rig.running():
        await write(rig, batch_bytes([raw(REF, 2)]))
        await eventually(lambda: _is(rig, 10))
    assert await rig.aside() == {}


async def test_a_record_with_such_a_header_is_set_aside_with_it_and_released(rig: Rig) -> None:
    partitions = rig.tally.inlet.partitions
    candidates = (f"raise-{number}" for number in range(99))
    ref = next(one for one in candidates if partition_for(one, partitions) == partition_for(REF, partitions))
    odd = raw(ref, -5)
    async with rig.running() as runtime:
        await write(rig, batch_bytes([RawRecord(odd.key, odd.value, (*odd.headers, (b"\xff\xfe", b"\xff")))]))
        await eventually(lambda: _aside(rig, {"raised": 1}))
        kept = unpack_headers(await rig.db.fetchval("SELECT headers FROM set_aside"))
        assert kept[-1] == ("\udcff\udcfe", b"\xff")
        rig.tally.broken = False
        await release_raised(runtime.settings.http_port)
        await eventually(lambda: rig.total(ref))
    assert await rig.aside() == {}


async def _released_is_not_whole_and_can_be_discarded(runtime: Runtime, rig: Rig, reason: str) -> None:
    port = runtime.settings.http_port
    numbers = await standing(port, reason)
    assert [one["error"] for one in (await release(port, *numbers))["kept"]] == ["not_whole"]
    async with http(port) as client:
        message = (await client.get("/operations/set-aside")).json()["messages"][0]
        assert message["last_offset"] >= message["offset"]
        assert message["size"] > FIRST_BYTES
        assert len(message["digest"]) == 32
        answer = await client.post("/operations/set-aside/discard", json={"sequences": numbers, "why": "a test"})
        assert answer.json() == {"discarded": numbers, "kept": []}
        gone = (await client.get("/operations/discarded")).json()["messages"][0]
        assert gone["digest"] == message["digest"]
        assert gone["size"] == message["size"]
    assert await rig.aside() == {}


async def _is(rig: Rig, minutes: int) -> bool:
    return await rig.total(REF) == minutes


async def _aside(rig: Rig, expected: dict[str, int]) -> bool:
    return await rig.aside() == expected
