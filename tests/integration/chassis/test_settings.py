"""What is really in effect in a running service: its own consumers, its relay's own producer, its collector; and no
topic comes into being by being named.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.operate.topics import ensure_topics
from services.chassis.log import kafka
from services.chassis.process.garbage import collect_less, collect_rarely
from services.chassis.process.runtime import Runtime
from tests.support.rig import Rig
from tests.support.tally import credit
from tests.support.waiting import eventually


async def test_every_lane_consumes_with_the_settings_that_lose_nothing(rig: Rig) -> None:
    embedded = rig.settings.embedded_broker
    async with rig.running(lanes=2) as runtime:
        await eventually(lambda: len(runtime.lanes) == 2 and all(lane.ready.is_set() for lane in runtime.lanes))
        for number, lane in enumerate(runtime.lanes):
            consumer: Any = lane.consumer
            assert consumer._isolation_level == "read_committed"
            assert consumer._auto_offset_reset == "earliest"
            assert consumer._enable_auto_commit is False
            assert consumer._session_timeout_ms == (2000 if embedded else 6000)
            assert consumer._heartbeat_interval_ms == (500 if embedded else 2000)
            assert consumer._max_poll_interval_ms == 300_000
            assert consumer._client._metadata_max_age_ms == kafka.METADATA_AGE_MS
            assert embedded is (consumer._group_instance_id is None)
            assert embedded or consumer._group_instance_id.startswith(f"{rig.tally.group}-0-{number}-")


async def test_the_relay_produces_with_the_settings_that_lose_nothing(rig: Rig) -> None:
    async with rig.running() as runtime:
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.total("v"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))
        producer: Any = runtime.relay.producer
        assert producer._sender._acks == -1
        assert (producer._txn_manager is not None) is not rig.settings.embedded_broker
        assert producer._txn_manager is None or producer._txn_manager.has_pid()


async def test_a_running_service_looks_for_cycles_seldom_and_never_among_what_it_started_with(rig: Rig) -> None:
    thresholds = gc.get_threshold()
    gc.unfreeze()
    collect_less()
    try:
        async with rig.running() as runtime:
            looking = asyncio.create_task(collect_rarely([runtime.begun]))
            await eventually(lambda: gc.get_freeze_count() > 10_000)
            assert gc.get_threshold() == (100_000, 50, 1000)
            looking.cancel()
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_a_service_whose_topic_is_missing_says_so_and_does_not_make_it(
    rig: Rig, unique: Callable[[str], str]
) -> None:
    missing = replace(rig.tally.inlet, name=unique("forgotten"))
    service = rig.tally.service()
    service = replace(service, streams=(replace(service.streams[0], topics=(rig.tally.inlet, missing)),))
    with pytest.raises(kafka.PartitionDrift, match=f"topic {missing.name} does not exist"):
        await asyncio.wait_for(Runtime(service, rig.settings).run(), 30)
    assert missing.name not in await _topics(rig)


async def test_what_goes_to_a_missing_topic_stands_in_the_outbox_until_there_is_one(
    rig: Rig, unique: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A relay that asked for its metadata made the topic, where brokers do that, with any number of partitions."""
    rig.tally.outlet = replace(rig.tally.outlet, name=unique("forgotten"))
    async with rig.running() as runtime:
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.total("v"))
        await eventually(lambda: runtime.relay.trouble)
        assert "run the topics job" in runtime.relay.trouble[0]["reason"]
        (told,) = (await runtime.health())["stuck"]  # its seconds go on between two looks
        assert told | {"seconds": 0} == runtime.relay.trouble[0] | {"seconds": 0}
        assert runtime.relay.leading
        said = capsys.readouterr().out
        assert said.count("topic takes no rows") == 1
        assert rig.tally.outlet.name in said
        assert rig.tally.outlet.name not in await _topics(rig)
        await ensure_topics(rig.settings.kafka, [rig.tally.outlet])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))


@pytest.mark.real_kafka
async def test_brokers_of_ours_make_no_topic_for_one_who_writes_to_it_or_reads_it(
    rig: Rig, unique: Callable[[str], str]
) -> None:
    written, read = unique("written"), unique("read")
    async with AIOKafkaProducer(bootstrap_servers=rig.settings.kafka, request_timeout_ms=2000) as producer:
        with pytest.raises(KafkaError):
            await producer.send_and_wait(written, b"x")
    consumer = AIOKafkaConsumer(read, bootstrap_servers=rig.settings.kafka, request_timeout_ms=2000)
    with suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(consumer.start(), 3)
    await consumer.stop()
    assert {written, read} & await _topics(rig) == set()


async def _topics(rig: Rig) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.settings.kafka)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()
