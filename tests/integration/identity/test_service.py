"""Identity as a process on broker and database: commands in, facts out, repeated deliveries without effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Event, decode, encode
from contracts.messages import Message
from contracts.messages.identity import LinkEstablished, LinkRefused
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS, service_source
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.migrations import migrate
from services.chassis.base.settings import Settings
from services.chassis.process.runtime import Runtime
from services.chassis.service import Stream
from services.identity.service import build
from tests.support.identity import T0, Commands
from tests.support.naming import SECRET
from tests.support.waiting import eventually


async def test_commands_on_kafka_become_facts_on_kafka_once(
    broker: Broker, database: str, unique: Callable[[str], str]
) -> None:
    commands = replace(IDENTITY_COMMANDS, name=unique("identity-commands"))
    await ensure_topics(broker.address, [commands, IDENTITY_EVENTS])
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        naming_secret=SECRET,
        http_port=0,
    )
    sources = frozenset({service_source("bridge"), service_source("identity")})
    built = build(settings)
    assert [(stream.topics, stream.sources) for stream in built.streams] == [((IDENTITY_COMMANDS,), sources)]
    service = replace(built, streams=(Stream(unique("identity"), (commands,), sources),))
    await migrate(database, service.migrations)
    runtime = Runtime(service, settings)
    running = asyncio.create_task(runtime.run())
    ask, homes = Commands(), [unique(f"S{n}") for n in range(20)]
    said: list[Message] = []
    for n, home in enumerate(homes):
        both = [ask.offer(f"c{n}", home_ref=home), ask.request(f"c{n}", f"G-{home}", home_ref=home)]
        said += both if n % 2 else reversed(both)
        said.append(ask.request(f"c{n}", f"H-{home}", home_ref=home))
    events = [Event(unique(f"e{n}"), service_source("bridge"), T0, message) for n, message in enumerate(said)]
    try:
        await publish(broker, commands.name, events)
        facts = await read_facts(broker, homes, len(homes) * 2)
        # Behind the repeated ones, in the same partitions, something new: once that is answered, they were read.
        news = [ask.offer("new", home_ref=home, guardian=False) for home in homes]
        last = [Event(unique(f"n{n}"), service_source("bridge"), T0, message) for n, message in enumerate(news)]
        await publish(broker, commands.name, events + last)
        again = await read_facts(broker, homes, len(homes) * 3)
        db = await asyncpg.connect(database)
        await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))
        assert await db.fetchval("SELECT count(*) FROM link") == len(homes)
        assert await db.fetchval("SELECT count(*) FROM set_aside") == 0
        await db.close()
    finally:
        runtime.stopping.set()
        await running
    linked = {fact.home_ref: fact.host_ref for fact in facts if isinstance(fact, LinkEstablished)}
    assert linked == {home: f"G-{home}" for home in homes}
    assert [fact.reason for fact in facts if isinstance(fact, LinkRefused)] == ["code_used"] * len(homes)
    assert sorted(fact.link_version for fact in again if isinstance(fact, LinkEstablished)) == [1] * 20 + [2] * 20
    assert len(again) == len(homes) * 3


async def publish(broker: Broker, topic: str, events: list[Event]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
        for event in events:
            value, headers = encode(event)
            await producer.send(topic, value=value, key=event.key.encode(), headers=headers)
        await producer.flush()


async def read_facts(broker: Broker, homes: list[str], wanted: int) -> list[Message]:
    """All facts about these home accounts on the topic, at least so many."""
    found: list[Message] = []
    async with AIOKafkaConsumer(
        IDENTITY_EVENTS.name, bootstrap_servers=broker.address, auto_offset_reset="earliest"
    ) as consumer:

        async def read() -> bool:
            batch = await consumer.getmany(timeout_ms=300)
            messages = [decode(r.value, r.headers).data for records in batch.values() for r in records]
            found.extend(m for m in messages if getattr(m, "home_ref", "") in homes)
            return len(found) >= wanted and not batch

        await eventually(read)
    return found
