"""A new version of a service beside what the old one left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from contracts.topics import TopicEntry
from deploy.operate.topics import ensure_topics
from services.chassis.log import kafka
from services.chassis.process.runtime import Runtime
from tests.support.rig import Rig
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def _running(rig: Rig, *topics: TopicEntry) -> AsyncIterator[Runtime]:
    service = rig.tally.service()
    runtime = Runtime(replace(service, streams=(replace(service.streams[0], topics=topics),)), rig.settings)
    task = asyncio.create_task(runtime.run())
    try:
        yield runtime
    finally:
        runtime.stopping.set()
        await task


async def _send(rig: Rig, topic: TopicEntry, ref: str) -> None:
    key, value, headers = as_record(credit(ref, 1))
    await rig.producer.send_and_wait(topic.name, key=key, value=value, headers=headers)


@pytest.mark.real_kafka
@pytest.mark.parametrize("change", ["added", "removed", "replaced"])
async def test_a_version_that_reads_other_topics_starts_at_once_after_the_old_one(rig: Rig, change: str) -> None:
    """Seen under the fault matrix: the group gave the new version the old one's partitions, and it died of them, or
    never heard of its new topic. The member's name says now what it reads.
    """
    first, second = rig.tally.inlet, replace(rig.tally.inlet, name=f"{rig.tally.inlet.name}-more")
    await ensure_topics(rig.settings.kafka, [second])
    old, new = {
        "added": ((first,), (first, second)),
        "removed": ((first, second), (second,)),
        "replaced": ((first,), (second,)),
    }[change]
    async with _running(rig, *old):
        await _send(rig, old[-1], "before")
        await eventually(lambda: rig.total("before"))
    async with _running(rig, *new):
        for topic in new:
            await _send(rig, topic, f"after-{topic.name}")
        for topic in new:
            await eventually(partial(rig.total, f"after-{topic.name}"), 20)


@pytest.mark.real_kafka
async def test_a_running_service_stops_when_a_topic_gets_more_partitions(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys change their places then. It took five minutes until a consumer looked; until its next start, if it was
    not asked.
    """
    monkeypatch.setattr(kafka, "METADATA_AGE_MS", 1000)
    runtime = Runtime(rig.tally.service(), rig.settings)
    running = asyncio.create_task(runtime.run())
    await _send(rig, rig.tally.inlet, "v")
    await eventually(lambda: rig.total("v"))
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.settings.kafka)
    await admin.start()
    try:
        await admin.create_partitions({rig.tally.inlet.name: NewPartitions(total_count=5)})
    finally:
        await admin.close()
    with pytest.raises(kafka.PartitionDrift, match="has 5 partitions"):
        await asyncio.wait_for(running, 30)
    assert await rig.total("v") == 1
