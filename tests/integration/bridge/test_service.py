"""The border as a process on broker and database: the journey of many volunteers over real topics, each effect once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Event, decode, encode
from contracts.ids import transfer_id
from contracts.messages import Message, receipts, volunteers
from contracts.messages.deliveries import CreditPosted
from contracts.topics import (
    ATTENDANCE_COMMANDS,
    ATTENDANCE_EVENTS,
    BRIDGE_COMMANDS,
    BRIDGE_EVENTS,
    DELIVERIES,
    IDENTITY_COMMANDS,
    IDENTITY_EVENTS,
    OPPORTUNITIES_COMMANDS,
    REFUSALS,
    registry_source,
    registry_topic_for,
    service_source,
)
from deploy.local.broker import Broker
from deploy.local.ports import free_port
from deploy.local.topics import ensure_topics
from services.bridge.service import build
from services.chassis.migrations import migrate
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import Settings
from tests.support.bridge_messages import T0, attested, confirmed, established, person, registry, signup
from tests.support.registries import new_code
from tests.support.rig import http
from tests.support.waiting import eventually

PEOPLE = range(40)
OPERATOR = "the-token-of-an-operator"


def configured(folder: Path, *codes: str) -> Path:
    for code in codes:
        (folder / f"{code}.yaml").write_text(yaml.safe_dump(registry(code).model_dump(mode="json")))
    return folder


def with_own_topics(service: Service, unique: Callable[[str], str]) -> tuple[Service, dict[str, str]]:
    """Inner topics that no other test writes to, by their real names; registries' topics are this test's anyway."""
    names = {entry.name: unique(entry.name) for stream in service.streams[-1:] for entry in stream.topics}
    inner = service.streams[-1]
    topics = tuple(replace(entry, name=names[entry.name]) for entry in inner.topics)
    mine = replace(inner, topics=topics, group=unique("bridge"))
    return replace(service, streams=(*service.streams[:-1], mine)), names


@dataclass
class Running:
    """The border in this process, between two registries of its own."""

    broker: Broker
    db: asyncpg.Connection[asyncpg.Record]
    names: dict[str, str]
    host: str
    home: str
    http: httpx.AsyncClient

    async def publish(self, events: list[Event]) -> None:
        await publish(self.broker, self.names, events)

    async def posted(self, wanted: int) -> list[CreditPosted]:
        return await read(self.broker, DELIVERIES.of(self.home).name, CreditPosted, wanted)


@pytest.fixture
async def border(broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Running]:
    host, home = new_code(), new_code()
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"{OPERATOR}: operator:mei\n")
    (tmp_path / "registries").mkdir()
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        registries=configured(tmp_path / "registries", host, home),
        tokens_file=tokens,
        http_port=free_port(),
        await_facts=1,
    )
    service, names = with_own_topics(build(settings), unique)
    outer = [entry for stream in service.streams for entry in stream.topics]
    sent_to = [entry.of(code) for code in (host, home) for entry in (DELIVERIES, REFUSALS)]
    commands = [IDENTITY_COMMANDS, OPPORTUNITIES_COMMANDS, ATTENDANCE_COMMANDS, BRIDGE_EVENTS, BRIDGE_COMMANDS]
    await ensure_topics(broker.address, [*outer, *sent_to, *commands])
    await migrate(database, service.migrations)
    runtime = Runtime(service, settings)
    running = asyncio.create_task(runtime.run())
    db = await asyncpg.connect(database)
    try:
        async with http(settings.http_port, OPERATOR) as client:
            yield Running(broker, db, names, host, home, client)
    finally:
        runtime.stopping.set()
        await running
        await db.close()


async def test_many_hours_go_the_whole_way_and_a_replay_changes_nothing(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    said = [event for n in PEOPLE for event in journey(host, home, n)]
    await border.publish(said)
    posted = await border.posted(len(PEOPLE))
    await border.publish([answer(home, credit) for credit in posted] + said)
    await eventually(lambda: db.fetchval("SELECT count(*) = $1 FROM transfer WHERE state = 'credited'", len(PEOPLE)))
    await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))
    assert await db.fetchval("SELECT count(*) FROM set_aside") == 0
    assert await db.fetchval("SELECT sum(posted) = sum(total) FROM service_record")
    assert {credit.transfer_id for credit in posted} == {transfer_id(host, f"R{n}", 1) for n in PEOPLE}
    assert len(await border.posted(len(PEOPLE))) == len(PEOPLE)


async def test_a_paused_registry_is_not_read_until_it_is_resumed_and_nothing_of_it_is_lost(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    answered = await border.http.post(f"/registries/{host}/pause", json={"why": "its clock is wrong"})
    assert answered.status_code == 200
    assert (answered.json()["paused"]["operator"], answered.json()["paused"]["why"]) == ("mei", "its clock is wrong")
    await border.publish([event for n in PEOPLE for event in journey(host, home, n)])
    # The home's consents and the inner services' words are read meanwhile: it waits alone.
    await eventually(lambda: db.fetchval("SELECT count(*) = $1 FROM service_record", len(PEOPLE)))
    await eventually(lambda: db.fetchval("SELECT count(*) = $1 FROM consent", len(PEOPLE)))
    spoken = "SELECT count(*) FROM step WHERE what IN ('signup_requested', 'service_attested')"
    assert await db.fetchval(spoken) == 0

    async def nothing_else_is_unread() -> bool:
        return bool((await border.http.get("/health/ready")).json()["lag"] == 2 * len(PEOPLE))

    await eventually(nothing_else_is_unread)
    answered = await border.http.post(f"/registries/{host}/resume", json={"why": "it is right again"})
    assert answered.json()["paused"]["resumed_at"] is not None
    await eventually(lambda: db.fetchval(f"SELECT ({spoken}) = $1", 2 * len(PEOPLE)))
    await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM pause"))
    assert await db.fetchval("SELECT count(*) FROM set_aside") == 0


async def test_nobody_elses_time_stands_still_while_a_registry_is_paused(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    await border.http.post(f"/registries/{home}/pause", json={"why": "it floods"})
    await border.publish([event for event in journey(host, home, 0) if event.source == registry_source(home)])
    stranger = Event("of-nobody", registry_source(host), T0, attested(ref="G-nobody"))
    await border.publish([stranger])
    refused = "SELECT count(*) = 1 FROM refusal WHERE registry = $1 AND reason = 'not_linked'"
    await eventually(lambda: db.fetchval(refused, host))
    assert await db.fetchval("SELECT count(*) FROM consent") == 0, "the paused one is not read"


def journey(host: str, home: str, n: int) -> list[Event]:
    """One volunteer's messages; what needs her link comes before it."""
    linked = established(person=person(n), host=host, host_ref=f"G{n}", home=home, home_ref=f"S{n}")
    given = volunteers.ConsentGiven(volunteer_ref=f"S{n}", registry=host, consent=linked.consent)
    served = confirmed(1, 60 + n, f"R{n}", host).model_copy(update={"person": person(n)})
    outer: list[tuple[str, Message]] = [
        (host, signup(ref=f"G{n}", host=host)),
        (host, attested(1, 60 + n, f"G{n}").model_copy(update={"record_ref": f"R{n}"})),
        (home, given),
    ]
    inner: list[tuple[str, Message]] = [("attendance", served), ("identity", linked)]
    return [Event(f"{host}-{n}-{m.TYPE}", registry_source(code), T0, m) for code, m in outer] + [
        Event(f"{host}-{n}-{m.TYPE}", service_source(name), T0, m) for name, m in inner
    ]


def answer(home: str, credit: CreditPosted) -> Event:
    booked = receipts.CreditAccepted(
        transfer_id=credit.transfer_id, volunteer_ref=credit.volunteer_ref, delta=credit.delta, posted_at=T0
    )
    return Event(f"answer-{credit.transfer_id}", registry_source(home), T0, booked)


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
