"""Lives of a database: a service on it, a copy as a dump would give it, and all messages of a topic."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer
from pydantic import SecretStr

from contracts.envelope import Event, decode
from deploy.operate.registries import CONFIGURED
from deploy.tryout.local.broker import Broker
from services.chassis.base.settings import Settings
from services.chassis.process.runtime import Runtime
from services.chassis.service import Service
from tests.support.every_settings import EverySettings
from tests.support.naming import SECRET
from tests.support.waiting import eventually

__all__ = ["living", "name_of", "said_on", "settings_of", "twice"]


def name_of(dsn: str) -> str:
    """A database as `new_database` knows it as a template."""
    return urlsplit(dsn).path[1:]


def settings_of(broker: Broker, dsn: str, **changes: Any) -> EverySettings:
    """Settings of a service on this database."""
    values: dict[str, Any] = {"naming_secret": SECRET, "registries": CONFIGURED}
    return EverySettings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(dsn),
        http_port=0,
        **values | changes,
    )


@contextlib.asynccontextmanager
async def living(service: Service, settings: Settings, *, ready: bool = True) -> AsyncIterator[Runtime]:
    """The service in this process, once it is ready; stopped in order."""
    runtime = Runtime(service, settings)
    running = asyncio.create_task(runtime.run())

    async def begun() -> bool:
        if running.done():
            running.result()
        return bool((await runtime.health())["ready"])

    try:
        if ready:
            await eventually(begun, what="the service is ready")
        yield runtime
    finally:
        runtime.stopping.set()
        await running


async def said_on(broker: Broker, topic: str) -> list[Event]:
    """All records of a topic at this moment."""
    found: list[Event] = []
    async with AIOKafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
        quiet = 0
        while quiet < 3:
            batch = await consumer.getmany(timeout_ms=300)
            quiet = 0 if batch else quiet + 1
            found += [decode(r.value, r.headers) for records in batch.values() for r in records]
    return found


def twice(events: list[Event]) -> list[str]:
    """Ids that a topic has more than once."""
    return [id for id, count in Counter(event.id for event in events).items() if count > 1]
