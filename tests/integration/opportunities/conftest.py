"""Opportunities on a real database, with and without its consumers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Event, encode
from contracts.messages import Message
from contracts.topics import OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.database import Connection
from services.chassis.base.settings import Settings
from services.chassis.process.runtime import Runtime
from services.chassis.service import Service
from services.opportunities.service import build
from tests.conftest import NewDatabase
from tests.support.instances import Instance, messages_of
from tests.support.naming import SECRET
from tests.support.opportunities import BEFORE, event
from tests.support.own_topics import under_names
from tests.support.templates import migrations_of


@dataclass(frozen=True)
class Opportunities(Instance):
    """The service's database, and its decisions on it batch by batch."""

    async def apply(self, batch: Sequence[tuple[Message, datetime]]) -> list[Message]:
        """Decide one batch; gives what is sent. Nothing may be set aside."""
        effects = await self.take(*(event(command, at) for command, at in batch))
        assert effects.asides == []
        return messages_of(effects.rows)

    async def all(self, *commands: Message, at: datetime = BEFORE) -> list[Message]:
        """One batch of these, judged at one time."""
        return await self.apply([(command, at) for command in commands])

    async def clear(self) -> None:
        """As on the first day."""
        await self.db.execute("TRUNCATE project, shift, signup, signup_outcome, outbox, entity, set_aside, timer")

    async def states(self) -> dict[str, int]:
        """How many sign-ups stand how."""
        return {row[0]: row[1] for row in await self.db.fetch("SELECT state, count(*) FROM signup GROUP BY state")}


MIGRATIONS: Final = migrations_of("opportunities")


@pytest.fixture
async def database(new_database: NewDatabase) -> str:
    """The DSN of a fresh database of opportunities."""
    return await new_database(migrated=MIGRATIONS)


@pytest.fixture
async def books(database: str) -> AsyncIterator[Opportunities]:
    """A migrated database."""
    async with AsyncExitStack() as stack:
        yield await Opportunities.of(stack, database, "opportunities", BEFORE)


@dataclass
class Rig:
    """The service with its topics and a producer."""

    service: Service
    settings: Settings
    db: Connection
    producer: AIOKafkaProducer
    inlet: str

    @contextlib.asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Runtime]:
        """The service in this process."""
        runtime = Runtime(self.service, self.settings.model_copy(update=changes))
        task = asyncio.create_task(runtime.run())
        try:
            yield runtime
        finally:
            runtime.stopping.set()
            await task

    async def send(self, sent: Event) -> int:
        """Publish; gives the offset."""
        value, headers = encode(sent)
        done = await self.producer.send_and_wait(self.inlet, key=sent.key.encode(), value=value, headers=headers)
        return int(done.offset)

    async def send_all(self, *commands: Message) -> None:
        """Publish in order."""
        for command in commands:
            await self.send(event(command))

    async def count(self, condition: str) -> int:
        """Sign-ups or outcomes, as in ``signup WHERE …``."""
        found: int = await self.db.fetchval(f"SELECT count(*) FROM {condition}")
        return found


@pytest.fixture
async def rig(broker: Broker, database: str, unique: Callable[[str], str]) -> AsyncIterator[Rig]:
    """The service on the session's broker, with a command topic and a group of its own."""
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        naming_secret=SECRET,
        http_port=0,
        await_facts=20.0,
    )
    built = build(settings)
    inlet = replace(OPPORTUNITIES_COMMANDS, name=unique("opportunities-commands"))
    service = under_names(built, {OPPORTUNITIES_COMMANDS.name: inlet.name}, unique("opportunities"))
    await ensure_topics(broker.address, [inlet, OPPORTUNITIES_EVENTS])
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    db: Connection = await asyncpg.connect(database)
    try:
        yield Rig(service, settings, db, producer, inlet.name)
    finally:
        await db.close()
        await producer.stop()
