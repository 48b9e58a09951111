"""The adapter as its own process, between the linkage's topics and a registry that has never heard of Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.envelope import Event, decode, encode
from contracts.registry import Capability
from contracts.topics import DELIVERIES, RECEIPTS, TEMPLATES, registry_topic_for
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.processes import own_environment
from tests.conftest import NewDatabase
from tests.support.naming import SECRET
from tests.support.registries import (
    attested,
    credit,
    decided,
    link,
    new_code,
    offered,
    own,
    requested,
    said,
    told,
    write_seat,
)
from tests.support.sandboxes import SYSTEM_TOKEN, rest_api
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]


async def start(environment: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "services.adapters", *arguments]
    return await asyncio.create_subprocess_exec(*command, env=own_environment(environment), cwd=ROOT)


@contextlib.asynccontextmanager
async def running(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await start(environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def adapter_environment(
    broker: Broker, new_database: NewDatabase, folder: Path, code: str, url: str, capability: Capability
) -> AsyncIterator[dict[str, str]]:
    (folder / f"{code}.yaml").write_text(
        f"code: {code}\nnames: {{zh: 试, en: test}}\ndivision_code: '440300'\n"
        f"capability: {capability}\nsystem: {{kind: rest_api, address: '{url}'}}\nsettles_within_seconds: 2\n"
    )
    await ensure_topics(broker.address, [entry.of(code) for entry in TEMPLATES])
    environment = {
        "SHUANGCHENG_PROFILE": "test" if broker.idempotent else "embedded",
        "SHUANGCHENG_KAFKA": broker.address,
        "SHUANGCHENG_DATABASE": await new_database(),
        "SHUANGCHENG_NAMING_SECRET": SECRET.get_secret_value(),
        "SHUANGCHENG_REGISTRIES": str(folder),
        "SHUANGCHENG_REGISTRY": code,
        "SHUANGCHENG_SYSTEM_TOKEN": SYSTEM_TOKEN,
        "SHUANGCHENG_HTTP_PORT": "0",
        "PATH": os.environ["PATH"],
    }
    assert await (await start(environment, "migrate")).wait() == 0
    yield environment


async def publish(broker: Broker, code: str, *events: Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    for event in events:
        topic = registry_topic_for(event.source, type(event.data)) or DELIVERIES.of(code).name
        value, headers = encode(event)
        await producer.send_and_wait(topic, value, key=event.key.encode(), headers=headers)
    await producer.stop()


async def receipts(broker: Broker, code: str, number: int) -> list[tuple[str, str, object]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    entry = RECEIPTS.of(code)
    consumer.assign([TopicPartition(entry.name, partition) for partition in range(entry.partitions)])
    heard: list[tuple[str, str, object]] = []

    async def enough() -> bool:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            heard.extend(said(decode(one.value, one.headers).data) for one in records)
        return len(heard) >= number

    try:
        await eventually(enough, what=f"{number} receipts")
    finally:
        await consumer.stop()
    return heard


BOOKED = ("CreditAccepted", "H-1", 75)
NOBODY_KNOWS = ("CreditUnknown", "H-1", None)


@pytest.mark.parametrize(
    ("capability", "failpoint", "receipt", "minutes"),
    [
        ("idempotent", "P6", BOOKED, [75]),
        ("idempotent", "P7", BOOKED, [75]),
        ("queryable", "P6", BOOKED, [75]),
        ("queryable", "P7", BOOKED, [75]),
        ("neither", "P6", NOBODY_KNOWS, []),
        ("neither", "P7", NOBODY_KNOWS, [75]),
    ],
)
async def test_killed_around_a_call_it_goes_on_and_the_credit_stands_once_or_is_uncertain(
    broker: Broker,
    new_database: NewDatabase,
    tmp_path: Path,
    capability: Capability,
    failpoint: str,
    receipt: tuple[str, str, object],
    minutes: list[int],
) -> None:
    code = new_code()
    async with (
        rest_api(await new_database(), registry=code, capability=capability) as sandbox,
        adapter_environment(broker, new_database, tmp_path, code, sandbox.url, capability) as environment,
    ):
        # The record is of a visitor, the credit for one of our own: both directions of one registry.
        await publish(
            broker,
            code,
            *(own(code, message) for message in (offered("H-1"), requested("G-1", "gz"), attested("G-1", "R-1"))),
            told(link("G-1", "gz", "established")),
            told(decided("G-1", "R-1", 1, "confirmed")),
        )

        async def told_so() -> bool:
            return await sandbox.rows("SELECT record_ref, home, minutes, status FROM audit_served") == [
                ("R-1", "gz", 90, "confirmed")
            ]

        async with running(environment):
            await eventually(told_so)
        await publish(broker, code, told(credit("H-1", 75)))
        async with running(environment | {"SHUANGCHENG_FAILPOINT": failpoint}) as process:
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        async with running(environment):
            assert await receipts(broker, code, 1) == [receipt]
        assert await sandbox.rows("SELECT minutes FROM audit_credits") == [(one,) for one in minutes]


async def test_without_a_seat_or_a_known_kind_it_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "gz.yaml").write_text(
        "code: gz\nnames: {zh: 试, en: test}\ndivision_code: '440100'\ncapability: idempotent\nsystem: {kind: fax}\n"
    )
    write_seat(tmp_path, "sz").write_text(write_seat(tmp_path, "sz").read_text().replace("address:", "# address:"))
    for more, complaint in [
        ({}, "SHUANGCHENG_REGISTRIES"),
        ({"SHUANGCHENG_REGISTRIES": str(tmp_path)}, "SHUANGCHENG_REGISTRY"),
        (
            {"SHUANGCHENG_REGISTRIES": str(tmp_path), "SHUANGCHENG_REGISTRY": "gz"},
            "gz.yaml: system.kind: no adapter for",
        ),
        ({"SHUANGCHENG_REGISTRIES": str(tmp_path), "SHUANGCHENG_REGISTRY": "sz"}, "sz.yaml: system.address: set it"),
    ]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.adapters"),
            env=own_environment(more),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        assert process.returncode == 2
        assert complaint in errors.decode()
        assert "Traceback" not in errors.decode()
