"""A tally that reads two cities, each with a group of its own, and its rig."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.envelope import Event
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.migrations import migrate
from services.chassis.base.settings import Settings
from services.chassis.decisions import Channel, Decision, Inbound, States
from services.chassis.service import Service, Stream
from tests.support.naming import SECRET
from tests.support.rig import TOKENS, Rig
from tests.support.tally import MIGRATION, SOURCE, Tally, as_record
from tests.support.waiting import eventually


class TwoCities(Tally):
    """A tally with a group for each of two cities. ``wait-both…`` listens to both, ``wait-key…`` to its own key, and
    any other to its own city."""

    def __init__(self, suffix: str, migrations: Path) -> None:
        super().__init__(suffix, migrations)
        self.other = replace(self.inlet, name=f"tally-other-{suffix}")
        self.other_group = f"{self.group}-other"

    def service(self) -> Service:
        """Two streams."""
        sources = frozenset({SOURCE})
        first = Stream(self.group, (self.inlet,), sources, backlog_limit=5)
        return replace(super().service(), streams=(first, Stream(self.other_group, (self.other,), sources)))

    def decide(self, states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
        """As a tally's; a wait names the channels that the ref says."""
        decision = super().decide(states, inbound, now, policy)
        if decision.wait is None:
            return decision
        ref = inbound.data.volunteer_ref
        own = self.inlet if inbound.topic == self.inlet.name else self.other
        heard: tuple[Channel, ...] = (Channel(own),)
        if ref.startswith("wait-both"):
            heard = (Channel(self.inlet), Channel(self.other))
        elif ref.startswith("wait-key"):
            heard = (Channel(own, ref),)
        return replace(decision, wait=replace(decision.wait, brought_by=heard))


class Cities(Rig):
    """The rig of two cities."""

    tally: TwoCities

    async def other_says(self, *events: Event, partition: int | None = None, topic: str = "") -> None:
        """Publish in order, in the other city."""
        for event in events:
            key, value, headers = as_record(event)
            name = topic or self.tally.other.name
            await self.producer.send(name, key=key, value=value, headers=headers, partition=partition)
        await self.producer.flush()

    @asynccontextmanager
    async def standing(self, group: str, partition: int | None = None) -> AsyncIterator[None]:
        """Keep this group from applying records, in one partition or in all: a transaction holds its stored offsets."""
        rows = "FROM consumed WHERE grp = $1 AND ($2::int IS NULL OR partition = $2)"
        wanted = 1 if partition is not None else self.tally.inlet.partitions
        await eventually(lambda: self.db.fetchval(f"SELECT count(*) = {wanted} {rows}", group, partition))
        other = await asyncpg.connect(self.settings.database.get_secret_value())
        try:
            async with other.transaction():
                await other.execute(f"SELECT * {rows} FOR UPDATE", group, partition)
                yield
        finally:
            await other.close()


@asynccontextmanager
async def two_cities(broker: Broker, database: str, suffix: str, folder: Path) -> AsyncIterator[Cities]:
    """The rig with its database and topics."""
    (folder / "0001_total.sql").write_text(MIGRATION)
    (folder / "tokens.yaml").write_text(TOKENS)
    tally = TwoCities(suffix, folder)
    await ensure_topics(broker.address, [tally.inlet, tally.other, tally.outlet])
    await migrate(database, folder)
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        naming_secret=SECRET,
        http_port=0,
        await_facts=1.0,
        tokens_file=folder / "tokens.yaml",
    )
    db = await asyncpg.connect(database)
    try:
        async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
            yield Cities(tally, settings, db, producer)
    finally:
        await db.close()
