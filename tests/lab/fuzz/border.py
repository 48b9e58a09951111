"""The real border: the bridge as a process of its own on Apache Kafka and PostgreSQL, and what can be seen of it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import ContractError, decode
from contracts.messages.refusals import MessageRefused
from contracts.topics import IDENTITY_COMMANDS, OPPORTUNITIES_COMMANDS, REFUSALS
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.specs import ProcessSpec
from deploy.tryout.local.stack import Stack
from tests.lab.fuzz.records import REGISTRIES
from tests.support.processes import peak_mebibytes

__all__ = ["Border", "border"]

_SETTINGS = {"AWAIT_FACTS": "2"}


class Border:
    """What the border has done with what was written: commands, refusals and messages set aside."""

    def __init__(self, stack: Stack, db: asyncpg.Connection[asyncpg.Record], consumer: AIOKafkaConsumer) -> None:
        self.stack = stack
        self.applied: Counter[str] = Counter()
        """How many commands came of a message, by its id."""
        self.refused: set[str] = set()
        """Ids, or places where no id could be read, of the messages that came back to their sender."""
        self.aside: dict[TopicPartition, set[int]] = {}
        """Offsets of what was set aside, every offset of a batch that could not be read among them."""
        self.states: Counter[str] = Counter()
        """What readiness said, and how often."""
        self._db = db
        self._consumer = consumer
        self._seen = 0

    @property
    def broker(self) -> str:
        """The broker's address."""
        return self.stack.broker.address

    async def look(self) -> int:
        """Read everything new; gives how much there was of it."""
        records = [one for of_one in (await self._consumer.getmany(timeout_ms=200)).values() for one in of_one]
        found = len(records)
        await self._heard(records)
        rows = await self._db.fetch(_ASIDE, max(0, self._seen - 5000))
        for row in rows:
            place = self.aside.setdefault(TopicPartition(row["topic"], row["partition"]), set())
            last = row["offset"] if row["last_offset"] is None else row["last_offset"]
            found += len(set(range(row["offset"], last + 1)) - place)
            place.update(range(row["offset"], last + 1))
            self._seen = max(self._seen, row["seq"])
        health = await self.health()
        self.states["ready" if health.get("ready") else f"not ready: {health}"[:300]] += 1
        return found

    async def _heard(self, records: Sequence[Any]) -> None:
        try:
            said: list[Any] = [decode(record.value, record.headers).data for record in records]
        except ContractError as error:
            raise AssertionError(f"the bridge wrote what is not in the contract: {error}") from error
        self.refused.update(one.message_id for one in said if isinstance(one, MessageRefused))
        own = [one.origin.message for one in said if not isinstance(one, MessageRefused)]
        ids = {row["id"]: row["message_id"] for row in await self._db.fetch(_SAID_AS, own)}
        self.applied.update(ids[one] for one in own)

    async def health(self) -> Mapping[str, Any]:
        """What the process says of itself; nothing while it does not answer."""
        try:
            async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
                found: dict[str, Any] = (await client.get(f"{self.stack.url('bridge')}/health/ready")).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return found

    async def lag(self) -> int:
        """Messages in the log that it has not applied, by its own word; -1 while it does not answer."""
        return int((await self.health()).get("lag", -1))

    async def rows_aside(self) -> dict[str, int]:
        """How many rows are set aside, by reason, by the database's word."""
        rows = await self._db.fetch("SELECT reason, count(*) FROM set_aside GROUP BY reason")
        return {row[0]: row[1] for row in rows}

    def peak_mebibytes(self) -> float:
        """The most memory that the process ever held."""
        pid = self.stack.processes["bridge"].pid
        assert pid is not None, "it runs"
        return peak_mebibytes(pid)

    def running(self) -> bool:
        """Whether the process that was started still runs."""
        return self.stack.processes["bridge"].running


_SAID_AS = "SELECT id, message_id FROM audit_registry_message WHERE id = ANY($1)"
_ASIDE = """SELECT seq, topic, partition, "offset", (to_jsonb(s) ->> 'last_offset')::bigint AS last_offset
    FROM set_aside s WHERE seq > $1 ORDER BY seq"""


@contextlib.asynccontextmanager
async def border(broker: str | None) -> AsyncIterator[Border]:
    """A bridge alone, ready, between two registries that only this test speaks for."""
    options = StackOptions(broker=broker, default_broker="java", profile="test", settings=_SETTINGS, real_kafka=True)
    table = [ProcessSpec("bridge", "services.bridge", "bridge")]
    async with contextlib.AsyncExitStack() as closing:
        stack = await closing.enter_async_context(Stack(options, table=table))
        db = await asyncpg.connect(stack.dsn["bridge"])
        closing.push_async_callback(db.close)
        topics = [IDENTITY_COMMANDS.name, OPPORTUNITIES_COMMANDS.name, *(REFUSALS.of(c).name for c in REGISTRIES)]
        consumer = AIOKafkaConsumer(
            *topics, bootstrap_servers=stack.broker.address, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        closing.push_async_callback(consumer.stop)
        yield Border(stack, db, consumer)
