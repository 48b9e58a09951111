"""A new version of a service beside what the old one left behind."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from contracts.topics import TopicEntry
from deploy.operate.topics import ensure_topics
from services.chassis.base.migrations import MigrationError, migrate, pending
from services.chassis.log import kafka
from services.chassis.log.records import pack_texts
from services.chassis.process import upgrading
from services.chassis.process.runtime import Runtime
from tests.support.rig import Rig
from tests.support.tally import SOURCE, as_record, credit
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def _running(rig: Rig, *topics: TopicEntry) -> AsyncIterator[Runtime]:
    service = rig.tally.service()
    runtime = Runtime(replace(service, streams=(replace(service.streams[0], topics=topics),)), rig.settings)
    task = asyncio.create_task(runtime.run())
    try:
        yield runtime
    finally:
        runtime.stopping.set()
        await task


async def _send(rig: Rig, topic: TopicEntry, ref: str) -> None:
    key, value, headers = as_record(credit(ref, 1))
    await rig.producer.send_and_wait(topic.name, key=key, value=value, headers=headers)


@pytest.mark.real_kafka
@pytest.mark.parametrize("change", ["added", "removed", "replaced"])
async def test_a_version_that_reads_other_topics_starts_at_once_after_the_old_one(rig: Rig, change: str) -> None:
    """Seen under the fault matrix: the group gave the new version the old one's partitions, and it died of them, or
    never heard of its new topic. The member's name says now what it reads.
    """
    first, second = rig.tally.inlet, replace(rig.tally.inlet, name=f"{rig.tally.inlet.name}-more")
    await ensure_topics(rig.settings.kafka, [second])
    old, new = {
        "added": ((first,), (first, second)),
        "removed": ((first, second), (second,)),
        "replaced": ((first,), (second,)),
    }[change]
    async with _running(rig, *old):
        await _send(rig, old[-1], "before")
        await eventually(lambda: rig.total("before"))
    async with _running(rig, *new):
        for topic in new:
            await _send(rig, topic, f"after-{topic.name}")
        for topic in new:
            await eventually(partial(rig.total, f"after-{topic.name}"))


@pytest.mark.real_kafka
async def test_a_running_service_stops_when_a_topic_gets_more_partitions(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys change their places then. It took five minutes until a consumer looked; until its next start, if it was
    not asked.
    """
    monkeypatch.setattr(kafka, "METADATA_AGE_MS", 1000)
    runtime = Runtime(rig.tally.service(), rig.settings)
    running = asyncio.create_task(runtime.run())
    await _send(rig, rig.tally.inlet, "v")
    await eventually(lambda: rig.total("v"))
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.settings.kafka)
    await admin.start()
    try:
        await admin.create_partitions({rig.tally.inlet.name: NewPartitions(total_count=5)})
    finally:
        await admin.close()
    with pytest.raises(kafka.PartitionDrift, match="has 5 partitions"):
        await asyncio.wait_for(running, 30)
    assert await rig.total("v") == 1


_OLD = [("ce_specversion", "1.0"), ("ce_id", "m-1"), ("ce_source", SOURCE), ("ce_type", "shuangcheng.gone.v1")]
_OLD += [("ce_time", "2026-01-01T00:00:00Z"), ("content-type", "application/json")]


def _earlier(rig: Rig, folder: Path) -> Path:
    """A folder with which the database that a rig made is one migration behind."""
    shutil.copytree(rig.tally.migrations, folder)
    (folder / "0002_later.sql").write_text("CREATE TABLE later (id int)")
    return folder


async def _set_aside(rig: Rig, reason: str) -> None:
    await rig.db.execute(
        """
        INSERT INTO set_aside (reason, subject, topic, partition, "offset", "timestamp", headers, value, received_at)
        VALUES ($1, 'v', $2, 0, 7, 0, $3, '{}', now())
        """,
        reason,
        rig.tally.inlet.name,
        pack_texts(_OLD),
    )


@pytest.mark.parametrize("table", ["outbox", "timer"])
async def test_a_database_whose_messages_this_version_cannot_read_is_refused_and_left_as_it_is(
    rig: Rig, tmp_path: Path, table: str
) -> None:
    name, columns, values = {
        "outbox": ("rows of the outbox", "", ""),
        "timer": ("timers", "name, due, ", "'a timer', now(), "),
    }[table]
    await rig.db.execute(
        f"INSERT INTO {table} ({columns}topic, key, headers, value) VALUES ({values}'some.topic', 'k', $1, '{{}}')",
        pack_texts(_OLD),
    )
    dsn, folder = rig.settings.database.get_secret_value(), _earlier(rig, tmp_path / "later")
    with pytest.raises(upgrading.CannotUpgrade, match=rf"cannot read {name}: 1 \(first .*unknown_type") as refused:
        await upgrading.upgrade(dsn, folder)
    assert "\n" not in str(refused.value)
    assert await pending(rig.db, folder) == ["service/0002_later.sql"]


async def test_what_is_set_aside_and_no_longer_in_the_contract_is_listed_and_kept(rig: Rig, tmp_path: Path) -> None:
    await _set_aside(rig, "raised")
    await _set_aside(rig, "schema")  # no version could read it: the upgrade changes nothing for it
    dsn, folder = rig.settings.database.get_secret_value(), _earlier(rig, tmp_path / "later")
    found = await upgrading.look(dsn, folder)
    assert [row.place for row in found.set_aside] == [f"{rig.tally.inlet.name}/0/7"]
    assert found.obstacle is None
    assert await upgrading.upgrade(dsn, folder) == ["service/0002_later.sql"]
    assert await rig.db.fetchval("SELECT count(*) FROM set_aside") == 2


async def test_a_database_that_a_later_version_has_migrated_is_refused_at_start_in_one_line(
    rig: Rig, tmp_path: Path
) -> None:
    await migrate(rig.settings.database.get_secret_value(), _earlier(rig, tmp_path / "later"))
    runtime = Runtime(rig.tally.service(), rig.settings)
    with pytest.raises(MigrationError, match=r"a later version has migrated this database \(service/0002_later.sql\)"):
        await asyncio.wait_for(runtime.run(), 120)


async def test_the_line_about_unreadable_messages_says_how_many_there_are(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each of them was written once: lines that differ in their numbers alone are counted, not written."""
    for _ in range(3):
        await _set_aside(rig, "raised")
    await upgrading.upgrade(rig.settings.database.get_secret_value(), _earlier(rig, tmp_path / "later"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "not in the contract" in line]
    assert "count=3" in line
    assert "migrate --check" in line
