"""The border under batches that are small on the wire and large when they are opened: it stays small, and applies."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import asyncpg
import pytest

from contracts.envelope import Event, encode
from contracts.messages.shifts import Category, ProjectPublished
from contracts.partitioner import partition_for
from contracts.topics import INBOUND, OPPORTUNITIES, registry_source
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.specs import ProcessSpec
from deploy.tryout.local.stack import Stack
from tests.support.batches import CODECS, BatchWriter, RawRecord, batch_bytes
from tests.support.processes import peak_mebibytes
from tests.support.waiting import eventually

MOST_MEBIBYTES = 300
GZ = OPPORTUNITIES.of("gz")


def bombs() -> list[bytes]:
    """A batch of each kind, from 306 KB that open to 300 MB to many records, headers and values at the limits."""
    huge = RawRecord(b"k", bytes(300 << 20))
    full = [RawRecord(b"k", bytes(31 << 10), ((b"h", bytes(31 << 10)),))] * 125
    return [
        batch_bytes([huge], CODECS["gzip"]),
        batch_bytes([huge], CODECS["zstd"]),
        batch_bytes([RawRecord(b"k", bytes(100 << 20))], CODECS["lz4"]),
        batch_bytes([RawRecord(b"k", bytes(7 << 20))], CODECS["gzip"]),
        batch_bytes([RawRecord(b"k", b"v", ((b"", b""),) * 300_000)], CODECS["zstd"]),
        batch_bytes(full, CODECS["zstd"]),
        batch_bytes([RawRecord(b"k", bytes(900 << 10))]),
        batch_bytes([RawRecord(None, None)] * 2000, CODECS["snappy"]),
    ]


def project(partition: int, number: int) -> Event:
    """One that belongs into this partition."""
    refs = (f"p-{number}-{salt}" for salt in itertools.count())
    ref = next(ref for ref in refs if partition_for(ref, GZ.partitions) == partition)
    said = ProjectPublished(
        project_ref=ref, version=1, title="Green station", category=Category.ECOLOGY, organiser_ref="o-1"
    )
    return Event(f"after-{number}-{partition}", registry_source("gz"), datetime.now(UTC), said)


@pytest.mark.real_kafka
@pytest.mark.timeout(900)
async def test_a_flood_of_bombs_in_every_partition_leaves_the_border_small_and_what_stands_behind_is_applied(
    broker: Broker,
) -> None:
    """One batch of 306 KB made it 1.2 GiB."""
    table = [ProcessSpec("bridge", "services.bridge", "bridge")]
    made = bombs()
    async with Stack(StackOptions(broker=broker.address, profile="test"), table=table) as stack:
        pid = stack.processes["bridge"].pid
        assert pid is not None
        quiet = peak_mebibytes(pid)
        async with BatchWriter(broker.address) as writer:
            for batch, template, partition in itertools.product(made, INBOUND, range(GZ.partitions)):
                if template is not OPPORTUNITIES and batch in made[5:]:
                    continue  # each of their records is a row; one topic is enough
                if batch in made[5:] and partition > 1:
                    continue
                await writer.write(template.of("gz").name, partition, batch)
            for partition in range(GZ.partitions):
                event = project(partition, 1)
                value, headers = encode(event)
                packed = tuple((name.encode(), text) for name, text in headers)
                await writer.write(GZ.name, partition, batch_bytes([RawRecord(event.key.encode(), value, packed)]))
        db = await asyncpg.connect(stack.dsn["bridge"])
        try:
            sent = "SELECT count(*) FROM inbox WHERE id LIKE 'after-%'"
            await eventually(lambda: _all(db, sent, GZ.partitions), 800)
            found = await db.fetch("SELECT reason, count(*) FROM set_aside GROUP BY reason")
            rows: dict[str, int] = {row[0]: row[1] for row in found}
        finally:
            await db.close()
        peak = peak_mebibytes(pid)
    print(f"{quiet:.0f} MiB before, {peak:.0f} MiB at most; set aside {rows}")
    assert rows["unreadable"] == 3 * len(INBOUND) * GZ.partitions
    assert peak < MOST_MEBIBYTES


async def _all(db: asyncpg.Connection[asyncpg.Record], counting: str, expected: int) -> bool:
    found: int = await db.fetchval(counting)
    return found == expected
