"""The rig for tests of the chassis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from contracts.topics import OPERATIONS_EVENTS
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.settings import Settings
from tests.conftest import NewDatabase
from tests.support.naming import SECRET
from tests.support.rig import TOKENS, Rig
from tests.support.tally import MIGRATION, Tally


@pytest.fixture
async def rig(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str], tmp_path: Path
) -> AsyncIterator[Rig]:
    (tmp_path / "0001_total.sql").write_text(MIGRATION)
    database = await new_database(migrated=tmp_path)
    (tmp_path / "tokens.yaml").write_text(TOKENS)
    tally = Tally(unique("t"), tmp_path)
    await ensure_topics(broker.address, [tally.inlet, tally.outlet, OPERATIONS_EVENTS])
    settings = Settings(
        profile="test" if broker.idempotent else "embedded",
        kafka=broker.address,
        database=SecretStr(database),
        naming_secret=SECRET,
        http_port=0,
        await_facts=2.0,
        tokens_file=tmp_path / "tokens.yaml",
    )
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    db = await asyncpg.connect(database)
    try:
        yield Rig(tally, settings, db, producer)
    finally:
        await db.close()
        await producer.stop()
