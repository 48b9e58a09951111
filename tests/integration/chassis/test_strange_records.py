"""Whatever a Kafka record may legally hold passes: through decoding, through the quarantine, and back out of it."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.chassis.log.records import unpack_headers
from tests.support.restoring import living
from tests.support.rig import Rig, first_lane, release, standing
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


@pytest.mark.real_kafka
async def test_what_transactions_leave_behind_is_no_lag(rig: Rig) -> None:
    """A mark at the end of a partition is never applied, and was told as a lag for ever."""
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        async with AIOKafkaProducer(
            bootstrap_servers=rig.settings.kafka, transactional_id=rig.tally.inlet.name
        ) as producer:
            for ends in (producer.commit_transaction, producer.abort_transaction, producer.abort_transaction):
                await producer.begin_transaction()
                for ref in ("ann", "bea", "cid", "dan"):
                    key, value, headers = as_record(credit(ref, 5))
                    await producer.send(rig.tally.inlet.name, key=key, value=value, headers=headers)
                await ends()
        await eventually(lambda: _all(rig, 4))
        await rig.send(credit("ann", 2))
        await eventually(lambda: _is(rig, "ann", 7))
        await eventually(lambda: lane.lag() == 0)


async def test_whatever_somebody_wrote_in_the_name_of_a_service_keeps_no_restored_one_from_its_work(rig: Rig) -> None:
    """No table takes such ids and places: the service looked whether it was restored for ever."""
    async with rig.running():
        await rig.send(credit("ann", 1))
        await eventually(lambda: _is(rig, "ann", 1))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))
    key, value, headers = as_record(credit("ann", 2, source=rig.tally.service().source))
    rest = [(name, text) for name, text in headers if name != "ce_id"]
    moment = ("ce_decidedat", b"1780000000000000")
    for odd in (
        [("ce_id", b"a\0b"), moment],
        [("ce_id", b"x" * 4000), moment],
        [("ce_id", None), moment],
        [("ce_id", b"1"), moment, ("ce_passed", b"1780000000000000 t/4294967296:1")],
        [("ce_id", b"2"), moment, ("ce_passed", b"1780000000000000 t\0/1:1")],
        [("ce_id", b"3"), moment, ("ce_passed", b"1780000000000000 begins 1 t/0:99999999999999999999 then")],
    ):
        await rig.producer.send(rig.tally.outlet.name, key=key, value=value, headers=[*rest, *odd])
    await rig.producer.flush()
    async with living(rig.tally.service(), rig.settings):
        assert {row[0] for row in await rig.db.fetch("SELECT id FROM said_since")} >= {"1", "2", "3"}
        await rig.send(credit("ann", 4))
        await eventually(lambda: _is(rig, "ann", 5))


async def _is(rig: Rig, ref: str, minutes: int) -> bool:
    return await rig.total(ref) == minutes


async def _aside(rig: Rig, expected: dict[str, int]) -> bool:
    return await rig.aside() == expected


async def _all(rig: Rig, count: int) -> bool:
    found: int = await rig.db.fetchval("SELECT count(*) FROM total")
    return found == count
