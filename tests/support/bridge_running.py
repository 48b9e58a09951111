"""The border as it runs, on broker and database, between two registries of a test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Event, decode, encode
from contracts.messages.deliveries import CreditPosted
from contracts.topics import (
    ATTENDANCE_COMMANDS,
    ATTENDANCE_EVENTS,
    BRIDGE_COMMANDS,
    BRIDGE_EVENTS,
    DELIVERIES,
    IDENTITY_COMMANDS,
    IDENTITY_EVENTS,
    INBOUND,
    OPERATIONS_EVENTS,
    OPPORTUNITIES_COMMANDS,
    REFUSALS,
    registry_topic_for,
    service_source,
)
from deploy.operate.ports import free_port
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.bridge.service import build
from services.bridge.settings import BridgeSettings
from services.chassis.base.migrations import migrate
from services.chassis.process.runtime import Runtime
from services.chassis.service import Service
from tests.support.bridge_messages import (
    registry,
)
from tests.support.naming import SECRET
from tests.support.own_topics import under_names
from tests.support.registries import new_code
from tests.support.rig import http
from tests.support.waiting import eventually

OPERATOR = "the-token-of-an-operator"


def configured(folder: Path, *codes: str) -> Path:
    for code in codes:
        content = registry(code).model_dump(mode="json", exclude_none=True)
        (folder / f"{code}.yaml").write_text(yaml.safe_dump(content))
    return folder


def with_own_topics(service: Service, unique: Callable[[str], str]) -> tuple[Service, dict[str, str]]:
    """Inner topics that no other test writes to, by their real names; registries' topics are this test's anyway."""
    names = {entry.name: unique(entry.name) for entry in service.streams[-1].topics}
    return under_names(service, names, unique("bridge")), names


@dataclass
class Running:
    """The border in this process, between two registries of its own."""

    broker: Broker
    dsn: str
    db: asyncpg.Connection[asyncpg.Record]
    names: dict[str, str]
    host: str
    home: str
    http: httpx.AsyncClient
    folder: Path
    """Of the registries' files."""
    restart: Callable[[], Awaitable[None]]
    """Stop in order and begin anew with what the folder holds then."""

    async def publish(self, events: list[Event]) -> None:
        await publish(self.broker, self.names, events)

    @asynccontextmanager
    async def standing(self, code: str) -> AsyncIterator[None]:
        """Nothing of this registry can be applied: somebody holds the rows of its stored offsets."""
        other = await asyncpg.connect(self.dsn)
        group = f"bridge.{code}"
        partitions = sum(entry.partitions for entry in INBOUND)
        taken_over = "SELECT count(*) = $2 FROM consumed WHERE grp = $1"
        await eventually(lambda: self.db.fetchval(taken_over, group, partitions))
        try:
            async with other.transaction():
                await other.execute("SELECT * FROM consumed WHERE grp = $1 FOR UPDATE", group)
                yield
        finally:
            await other.close()

    async def refused(self, code: str, times: int) -> bool:
        """Whether so many messages of this registry were refused as not linked."""
        count = "SELECT count(*) FROM refusal WHERE registry = $1 AND reason = 'not_linked'"
        return bool(await self.db.fetchval(count, code) == times)

    async def posted(self, wanted: int) -> list[CreditPosted]:
        return await read(self.broker, DELIVERIES.of(self.home).name, CreditPosted, wanted)


@asynccontextmanager
async def running_border(
    broker: Broker, database: str, unique: Callable[[str], str], folder: Path
) -> AsyncIterator[Running]:
    """The border on the session's broker, with inner topics and two registries of its own."""
    host, home = new_code(), new_code()
    tokens = folder / "tokens.yaml"
    tokens.write_text(f"{OPERATOR}: operator:mei\n")
    (folder / "registries").mkdir()
    settings = BridgeSettings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        naming_secret=SECRET,
        registries=configured(folder / "registries", host, home),
        tokens_file=tokens,
        http_port=free_port(),
        await_facts=1,
    )
    service, names = with_own_topics(build(settings), unique)
    outer = [entry for stream in service.streams for entry in stream.topics]
    sent_to = [entry.of(code) for code in (host, home) for entry in (DELIVERIES, REFUSALS)]
    commands = [IDENTITY_COMMANDS, OPPORTUNITIES_COMMANDS, ATTENDANCE_COMMANDS, BRIDGE_EVENTS, BRIDGE_COMMANDS]
    await ensure_topics(broker.address, [*outer, *sent_to, *commands, OPERATIONS_EVENTS])
    await migrate(database, service.migrations)
    runtime = Runtime(service, settings)
    running = asyncio.create_task(runtime.run())
    db = await asyncpg.connect(database)

    async def restart() -> None:
        nonlocal runtime, running
        runtime.stopping.set()
        await running
        runtime = Runtime(with_own_topics(build(settings), unique)[0], settings)
        running = asyncio.create_task(runtime.run())

    try:
        async with http(settings.http_port, OPERATOR) as client:
            yield Running(broker, database, db, names, host, home, client, folder / "registries", restart)
    finally:
        runtime.stopping.set()
        await running
        await db.close()


async def publish(broker: Broker, names: dict[str, str], events: list[Event]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
        for event in events:
            inner = ATTENDANCE_EVENTS if event.source == service_source("attendance") else IDENTITY_EVENTS
            topic = registry_topic_for(event.source, type(event.data)) or names[inner.name]
            value, headers = encode(event)
            await producer.send(topic, value=value, key=event.key.encode(), headers=headers)
        await producer.flush()


async def read(broker: Broker, topic: str, kind: type[CreditPosted], wanted: int) -> list[CreditPosted]:
    """All messages of a kind on a topic, at least so many."""
    found: list[CreditPosted] = []
    async with AIOKafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:

        async def more() -> bool:
            batch: dict[Any, Any] = await consumer.getmany(timeout_ms=300)
            messages = [decode(r.value, r.headers).data for records in batch.values() for r in records]
            found.extend(m for m in messages if isinstance(m, kind))
            return len(found) >= wanted and not batch

        await eventually(more)
    return found
