"""The tally service with its database, its topics and a producer, run inside the test's process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from contracts.envelope import Event
from deploy.operate.ports import LOOPBACK, free_port
from services.chassis.base.settings import Settings
from services.chassis.lanes.consuming import Lane
from services.chassis.process.runtime import Runtime
from tests.support.tally import Tally, as_record
from tests.support.waiting import eventually

OPERATOR = "the-token-of-an-operator"
REGISTRY = "the-token-of-a-registry"
TOKENS = f"{OPERATOR}: operator:mei\n{REGISTRY}: registry:tt\n"


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
        changes = {"http_port": free_port()} | changes
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
        """How many messages are set aside, by reason."""
        return {r[0]: r[1] for r in await self.db.fetch("SELECT reason, count(*) FROM set_aside GROUP BY reason")}


@contextlib.asynccontextmanager
async def http(port: int, token: str | None = OPERATOR) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the HTTP face of a service that runs or is starting, with a token or without."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    transport = httpx.AsyncHTTPTransport(retries=5)
    async with httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{port}", headers=headers, transport=transport, timeout=15
    ) as client:
        yield client


async def first_lane(runtime: Runtime) -> Lane:
    """The only lane of a service that is just starting, once it is ready."""
    await eventually(lambda: runtime.lanes and runtime.lanes[0].ready.is_set())
    return runtime.lanes[0]


async def standing(port: int, reason: str) -> list[int]:
    """Sequences of messages set aside for this reason, as the service tells them, from all pages."""
    found: list[int] = []
    after: int | None = 0
    async with http(port) as client:
        while after is not None:
            page = (await client.get("/operations/set-aside", params={"reason": reason, "after": after})).json()
            found += [message["seq"] for message in page["messages"]]
            after = page["next"]
    return found


async def release(port: int, *sequences: int) -> dict[str, Any]:
    """Release messages as an operator; gives the service's answer."""
    async with http(port) as client:
        answer = await client.post("/operations/set-aside/release", json={"sequences": sequences})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def release_raised(port: int) -> None:
    """Release all messages whose decision raised."""
    raised = await standing(port, "raised")
    assert raised
    assert await release(port, *raised) == {"released": raised, "repeats": [], "kept": []}
