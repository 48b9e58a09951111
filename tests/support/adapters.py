"""An adapter's caller over a real registry of the kind rest_api, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from contracts.envelope import decode
from contracts.messages import Message, deliveries
from contracts.registry import Capability
from services.adapters import rules
from services.adapters.api import api
from services.adapters.kinds.credentials import Credentials
from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.states import Credit, Notice, Outcome
from services.adapters.store import CREDITS, AdapterStore
from services.adapters.worker import Caller
from services.chassis.base.database import Pool, open_pool
from services.chassis.base.http import Principal, create_app
from services.chassis.base.logs import Episode
from services.chassis.base.persistent import cancel_all, persistent
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.chassis.decisions import Inbound, States
from services.chassis.log.records import unpack_headers
from tests.conftest import NewDatabase
from tests.support.registries import offered, own, said, seat
from tests.support.sandboxes import SYSTEM_TOKEN, Sandbox, rest_api
from tests.support.templates import migrations_of
from tests.support.waiting import eventually

TOKENS = {"token-of-operator": Principal("operator"), "token-of-sz": Principal("registry", "sz")}
OURS = Credentials(SecretStr(SYSTEM_TOKEN))
"""What the sandboxes of these tests ask for."""
FOLDER = migrations_of("adapters")


class Watched(RestApi):
    """Counts what is under way, and can be told to die after a call as the process would."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url, credentials=OURS, seconds=seconds)
        self.posts: Counter[uuid.UUID] = Counter()
        self.asks: Counter[uuid.UUID] = Counter()
        self.under_way: Counter[str] = Counter()
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None

    async def post(self, credit: Credit) -> Outcome:
        self.posts[credit.transfer_id] += 1
        self.under_way[credit.volunteer_ref] += 1
        assert self.under_way[credit.volunteer_ref] == 1, "two calls about one volunteer at once"
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        try:
            outcome = await super().post(credit)
            if self.hold is not None:
                await self.hold.wait()
            return outcome
        finally:
            self.under_way[credit.volunteer_ref] -= 1

    async def ask(self, credit: Credit) -> Outcome:
        self.asks[credit.transfer_id] += 1
        return await super().ask(credit)


@dataclass
class Adapter:
    """The adapter's database with a caller, and the registry behind it."""

    pool: Pool
    system: Watched
    sandbox: Sandbox
    caller: Caller

    async def due(self, *posted: deliveries.CreditPosted, state: str = "due") -> None:
        """Put these in, as decisions would."""
        now = datetime.now(UTC)
        rows = [Credit(one.transfer_id, one.volunteer_ref, one, "due", 0, now) for one in posted]
        async with self.pool.acquire() as connection:
            await CREDITS.add(connection, [replace(row, state=state) for row in rows])  # type: ignore[arg-type]

    async def states(self) -> list[str]:
        return [row[0] for row in await self.pool.fetch("SELECT state FROM credit ORDER BY seq")]

    async def settled(self) -> list[str]:
        """The states, once nothing is open."""

        async def done() -> bool:
            return not set(await self.states()) & {"due", "calling", "unknown"}

        await eventually(done, what="all credits settled")
        return await self.states()

    async def receipts(self) -> list[tuple[str, str, object]]:
        """What it published, in order."""
        return [said(message) for message in await self._published()]

    async def attempts_named(self) -> list[object]:
        """Which attempts its receipts answer, in order."""
        return [getattr(message, "attempt", None) for message in await self._published()]

    async def _published(self) -> list[Message]:
        rows = await self.pool.fetch("SELECT topic, headers, value FROM outbox ORDER BY id")
        assert {row["topic"] for row in rows} <= {"registry.sz.receipts.v1"}
        events = [decode(row["value"], unpack_headers(row["headers"])) for row in rows]
        assert {event.source for event in events} <= {"urn:shuangcheng:registry:sz"}
        return [event.data for event in events]

    async def credits(self) -> list[int]:
        return [row[0] for row in await self.sandbox.rows("SELECT minutes FROM audit_credits ORDER BY 1")]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(persistent(self.caller.session, Episode("interrupted")))
        try:
            yield
        finally:
            await cancel_all([task])


@contextlib.asynccontextmanager
async def adapter(
    new_database: NewDatabase,
    capability: Capability = "idempotent",
    refs: Sequence[str] = ("H-1",),
    *,
    settles: float = 0.5,
    patience: float = 10,
    system: type[Watched] = Watched,
) -> AsyncIterator[Adapter]:
    """A caller that waits for an answer as long as its ``patience`` lasts, in seconds."""
    books, own_database = await new_database(), await new_database(migrated=FOLDER)
    pool = await open_pool(own_database, size=6, application="test")
    async with rest_api(books, capability=capability) as sandbox:
        client = system(sandbox.url, patience)
        await client.tell([notice_of(own("sz", offered(ref))) for ref in refs])
        caller = Caller(pool, client, seat(capability, settles=settles), lambda: datetime.now(UTC))
        try:
            yield Adapter(pool, client, sandbox, caller)
        finally:
            await client.close()
            await pool.close()


async def troubles(ours: Adapter, who: str = "operator") -> httpx.Response:
    """What an operator is told."""

    async def health() -> dict[str, Any]:
        return {"ready": True}

    app = create_app("adapters", TOKENS, health)
    app.include_router(api(Reads(ours.pool, ours.pool), Settings(profile="test")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://adapter") as client:
        return await client.get("/troubles", headers={"authorization": f"Bearer token-of-{who}"})


def states_of(*credits: Credit) -> States:
    """What a batch would have loaded."""
    states = States()
    for table in AdapterStore.tables:
        table.declare(states)
    states.load(credits)
    return states


def notice_of(event: object) -> Notice:
    inbound = Inbound(event, "topic", uuid.uuid4(), datetime.now(UTC))  # type: ignore[arg-type]
    (notice,) = rules.pass_on(States(), inbound, datetime.now(UTC), seat("idempotent")).changes
    assert isinstance(notice, Notice)
    return notice
