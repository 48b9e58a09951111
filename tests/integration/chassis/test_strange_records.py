"""Whatever a Kafka record may legally hold passes: through decoding, through the quarantine, and back out of it."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.chassis.records import unpack_headers
from tests.support.rig import Rig, release, standing
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_record_of_every_codec_is_applied_and_so_is_what_comes_after_it(rig: Rig, codec: Any) -> None:
    """Without the codec's library the whole service stood still, and said that it was ready."""
    async with rig.running():
        async with AIOKafkaProducer(bootstrap_servers=rig.settings.kafka, compression_type=codec) as producer:
            key, value, headers = as_record(credit("ann", 5))
            headers.append(("long", b" " * 4000))  # the client compresses only what becomes smaller
            await producer.send_and_wait(rig.tally.inlet.name, key=key, value=value, headers=headers)
        await rig.send(credit("ann", 7))
        await eventually(lambda: _is(rig, "ann", 12))


async def test_a_null_header_is_kept_as_null_and_its_record_is_set_aside_and_released(rig: Rig) -> None:
    """It was read as bytes, so that nothing after it was ever applied."""
    strange = [("trace", None), ("", None), ("", b""), ("x", b"1"), ("x", b"2"), ("名", b"\xff\0")]
    async with rig.running() as runtime:
        port = runtime.settings.http_port
        key, value, headers = as_record(credit("raise-ann", -5))
        await rig.producer.send(rig.tally.inlet.name, key=key, value=value, headers=[*headers, *strange])
        await rig.producer.send(rig.tally.inlet.name, key=b"", value=None, headers=strange)
        await rig.send(credit("bea", 7))
        await eventually(lambda: _is(rig, "bea", 7))
        await eventually(lambda: _aside(rig, {"raised": 1, "bytes": 1}))
        raised, unread = await standing(port, "raised"), await standing(port, "bytes")
        rows = await rig.db.fetch("SELECT key, value, headers FROM set_aside WHERE seq = $1", unread[0])
        assert [(row["key"], row["value"], unpack_headers(row["headers"])) for row in rows] == [(b"", None, strange)]
        assert [one["error"] for one in (await release(port, *unread))["kept"]] == ["bytes"]
        rig.tally.broken = False
        assert (await release(port, *raised))["released"] == raised
        await eventually(lambda: _is(rig, "raise-ann", -5))


async def _is(rig: Rig, ref: str, minutes: int) -> bool:
    return await rig.total(ref) == minutes


async def _aside(rig: Rig, expected: dict[str, int]) -> bool:
    return await rig.aside() == expected
