"""The tally service with its database, its topics and a producer, run inside the test's process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from contracts.envelope import Event
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from tests.support.tally import Tally, as_record


@dataclass
class Rig:
    """A tally with its database, its topics and a producer."""

    tally: Tally
    settings: Settings
    db: asyncpg.Connection[asyncpg.Record]
    producer: AIOKafkaProducer

    @contextlib.asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Runtime]:
        """The service in this process."""
        runtime = Runtime(self.tally.service(), self.settings.model_copy(update=changes))
        task = asyncio.create_task(runtime.run())
        try:
            yield runtime
        finally:
            runtime.stopping.set()
            await task

    async def send(self, *events: Event) -> None:
        """Publish in order."""
        for event in events:
            key, value, headers = as_record(event)
            await self.producer.send(self.tally.inlet.name, key=key, value=value, headers=headers)
        await self.producer.flush()

    async def total(self, ref: str) -> int | None:
        """Minutes of one volunteer."""
        found: int | None = await self.db.fetchval("SELECT minutes FROM total WHERE ref = $1", ref)
        return found

    async def aside(self) -> dict[str, int]:
        """What is set aside, by reason."""
        return {r[0]: r[1] for r in await self.db.fetch("SELECT reason, count(*) FROM set_aside GROUP BY reason")}
