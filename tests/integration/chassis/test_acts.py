"""What operators do to a database is said on a kept topic, in the transaction of the act."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from contracts.envelope import Event, decode
from contracts.messages.operations import OperatorActed
from contracts.topics import OPERATIONS_EVENTS
from services.chassis.batch.outbox import OutboxRow
from services.chassis.log.records import unpack_headers
from services.chassis.process import by_hand
from tests.support.rig import Rig, http, release, standing
from tests.support.tally import credit
from tests.support.tally_child import TallyChild
from tests.support.waiting import eventually

ASKED = "raise-on-me-"


def acted(event: Event) -> OperatorActed:
    assert isinstance(event.data, OperatorActed)
    return event.data


async def acts(rig: Rig, wanted: int) -> list[Event]:
    """What this tally said on the topic of acts, which all tests of a session share: at least so many."""
    consumer = AIOKafkaConsumer(
        OPERATIONS_EVENTS.name, bootstrap_servers=rig.settings.kafka, auto_offset_reset="earliest"
    )
    found: list[Event] = []
    async with consumer:

        async def enough() -> bool:
            batches = await consumer.getmany(timeout_ms=300)
            records = [record for batch in batches.values() for record in batch]
            # Others may have said what their tests are about, which need not be readable.
            mine = [record for record in records if rig.tally.inlet.name.encode() in record.value]
            found.extend(decode(record.value, record.headers) for record in mine)
            return len(found) >= wanted and not batches

        await eventually(enough)
    return sorted(found, key=lambda event: event.time)


async def places(rig: Rig) -> list[str]:
    rows = await rig.db.fetch('SELECT topic, partition, "offset" FROM set_aside ORDER BY seq')
    return [f"{topic}/{partition}/{offset}" for topic, partition, offset in rows]


async def test_a_release_and_a_discard_are_said_with_place_and_operator(rig: Rig) -> None:
    async with rig.running(raise_on=ASKED) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 3, id=f"{ASKED}1"), credit("w", 4, id=f"{ASKED}2"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside"))
        first, second = await places(rig)
        of_v, of_w = await standing(port, "raised")
        assert (await release(port, of_v))["released"] == [of_v]
        async with http(port) as client:
            order = {"sequences": [of_w, 999], "why": "a test of the sender"}
            await client.post("/operations/set-aside/discard", json=order)
        said = await acts(rig, 2)
    told = [(one.service, one.act, one.about, one.operator) for one in map(acted, said)]
    assert told == [("tally", "release", first, "mei"), ("tally", "discard", second, "mei")]
    assert "a test of the sender" not in repr(said), "why it was done is free text, and stays in the database"
    assert {(event.source, event.causation) for event in said} == {("urn:shuangcheng:service:tally", None)}


async def test_an_act_whose_process_is_killed_before_its_commit_is_neither_done_nor_said(
    rig: Rig, tmp_path: Path
) -> None:
    """The row is locked by another, so that the act stands between its first statement and its commit."""
    child = TallyChild(rig, tmp_path, RAISE_ON=ASKED)
    await child.start()
    await rig.send(credit("v", 3, id=f"{ASKED}1"))
    [of_v] = await eventually(lambda: standing(child.port, "raised"))
    other = await asyncpg.connect(rig.settings.database.get_secret_value())
    async with rig.db.transaction():
        await rig.db.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(release(child.port, of_v))
        inserting = (
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            " AND query ILIKE '%outbox%' AND xact_start < query_start"
        )
        await eventually(lambda: other.fetchval(inserting))  # in a transaction it would see one moment for ever
        await child.kill()
    await other.close()
    with pytest.raises(httpx.TransportError):
        await asked
    assert await rig.aside() == {"raised": 1}
    assert await rig.db.fetchval("SELECT count(*) FROM outbox") == 0


async def test_positions_that_are_forgotten_are_said_by_topic_and_those_of_no_topic_are_not(rig: Rig) -> None:
    async with rig.running():
        await rig.send(credit("v", 3))
        await eventually(lambda: rig.total("v"))
    await by_hand.forget("tally", rig.settings, [rig.tally.inlet.name, "nobody.reads.this"])
    [row] = await rig.db.fetch("SELECT topic, key, headers, value FROM outbox")
    said = acted(decode(row["value"], unpack_headers(OutboxRow(*row).headers)))
    assert (row["topic"], said.key, said.act) == (OPERATIONS_EVENTS.name, "tally", "forget_positions")
    assert (said.about, said.operator) == (rig.tally.inlet.name, "command")
    assert await rig.db.fetchval("SELECT count(*) FROM consumed") == 0
