"""Takes the snapshot: each topic from its first message to its last, and the audit views of services and registries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.audit.world import INNER_DATABASES, Line, Row, Topics, World, line
from deploy.header_names import any_name_taken

__all__ = ["GatherError", "gather", "registries_of"]

_READ_SECONDS = 60.0
_IDLE_MS = 400
_IDLE_POLLS = 2
"""The embedded broker tells the begin of the last batch as the end of the log. Therefore reading ends only after
silence too."""
_AUDITS = {
    "served": "SELECT record_ref, version, volunteer_ref, home, minutes, status FROM audit_served ORDER BY record_ref",
    "credits": "SELECT transfer_id, volunteer_ref, minutes FROM audit_credits ORDER BY transfer_id, minutes",
}
_VIEWS = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'v' AND c.relname LIKE 'audit\\_%' ORDER BY c.relname"""
_FACE = "audit_"
"""What the names of views begin with that a service has for audits. Nothing else of its database is read."""


class GatherError(Exception):
    """The snapshot could not be taken: an address does not answer, or a topic or database is missing."""


def registries_of(dsns: Mapping[str, str]) -> tuple[str, ...]:
    """The registries' codes, from databases named ``sandbox_<code>``."""
    return tuple(sorted(name.removeprefix("sandbox_") for name in dsns if name.startswith("sandbox_")))


async def gather(kafka_address: str, dsns: Mapping[str, str], registries: Iterable[str] | None = None) -> World:
    """Take the snapshot. ``dsns`` by database: each service's, each adapter's, and ``sandbox_<code>``.

    Raises ``GatherError``.
    """
    codes = tuple(sorted(registries)) if registries is not None else registries_of(dsns)
    if missing := [name for name in (*INNER_DATABASES, *(f"sandbox_{code}" for code in codes)) if name not in dsns]:
        raise GatherError(f"no address for the database of {', '.join(missing)}")
    services = [name for name in dsns if not name.startswith("sandbox_")]
    try:
        found = await asyncio.gather(*(_views(name, dsns[name]) for name in services))
        tables = dict(zip(services, found, strict=True))
        audits = await asyncio.gather(*(_audits(dsns[f"sandbox_{code}"]) for code in codes))
    except (OSError, asyncpg.PostgresError) as error:
        raise GatherError(f"a database could not be read: {type(error).__name__} {error}") from error
    try:
        lines = await _read(kafka_address, Topics(codes), _applied(tables))
    except (OSError, KafkaError) as error:
        raise GatherError(f"{kafka_address} could not be read: {type(error).__name__} {error}") from error
    return World(
        codes,
        lines,
        tables,
        {code: audit["served"] for code, audit in zip(codes, audits, strict=True)},
        {code: audit["credits"] for code, audit in zip(codes, audits, strict=True)},
    )


def _applied(tables: Mapping[str, Mapping[str, list[Row]]]) -> dict[tuple[str, int], int]:
    """The positions of the services: a replay must come at least as far."""
    ends: dict[tuple[str, int], int] = {}
    for of_service in tables.values():
        for row in of_service["consumed"]:
            place = (row["topic"], row["partition"])
            ends[place] = max(ends.get(place, 0), row["next_offset"])
    return ends


async def _connect(dsn: str) -> asyncpg.Connection[Any]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn, timeout=10)
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    return connection


async def _views(database: str, dsn: str) -> dict[str, list[Row]]:
    """All audit views of a service's database, at one moment, without the beginning of their names."""
    connection = await _connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            names = [row[0] for row in await connection.fetch(_VIEWS)]
            if not names:
                raise GatherError(f"the database of {database} has no audit views: its migrations are not applied")
            return {
                name.removeprefix(_FACE): [dict(row) for row in await connection.fetch(f'TABLE "{name}"')]
                for name in names
            }
    finally:
        await connection.close()


async def _audits(dsn: str) -> dict[str, list[Row]]:
    connection = await _connect(dsn)
    try:
        return {name: [dict(row) for row in await connection.fetch(query)] for name, query in _AUDITS.items()}
    finally:
        await connection.close()


async def _read(address: str, topics: Topics, applied: Mapping[tuple[str, int], int]) -> dict[str, list[Line]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_uncommitted",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    places = [TopicPartition(e.name, number) for e in topics.entries.values() for number in range(e.partitions)]
    consumer.assign(places)
    await consumer.start()
    try:
        begins = await consumer.beginning_offsets(places)
        if cut := next((place for place in places if begins[place] > 0), None):
            raise GatherError(f"{cut.topic}/{cut.partition} begins at {begins[cut]}: retention has cut it, no replay")
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
        targets = {place: max(ends[place], applied.get((place.topic, place.partition), 0)) for place in places}
        with any_name_taken():
            raw = await _read_to(consumer, targets)
    finally:
        await consumer.stop()
    # Only at the end: after a flood this takes as long as the time limit of a running consumer's requests.
    return _decoded(topics, raw)


async def _read_to(
    consumer: AIOKafkaConsumer, targets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Any]]:
    raw: dict[TopicPartition, list[Any]] = {place: [] for place in targets}
    deadline = asyncio.get_running_loop().time() + _READ_SECONDS
    idle = 0
    while idle < _IDLE_POLLS or any(_following(raw[place]) < target for place, target in targets.items()):
        if asyncio.get_running_loop().time() > deadline:
            place, target = next((p, t) for p, t in targets.items() if _following(raw[p]) < t)
            raise GatherError(f"{place.topic}/{place.partition} gave nothing up to offset {target - 1}")
        records = await consumer.getmany(timeout_ms=_IDLE_MS, max_records=20_000)
        idle = 0 if records else idle + 1
        for place, batch in records.items():
            raw[place] += batch
    return raw


def _decoded(topics: Topics, raw: Mapping[TopicPartition, list[Any]]) -> dict[str, list[Line]]:
    lines: dict[str, list[Line]] = {name: [] for name in topics.entries}
    for place in sorted(raw):
        for r in raw[place]:
            lines[place.topic].append(
                line(topics, place.topic, place.partition, r.offset, r.timestamp, r.key, r.headers, r.value)
            )
    return lines


def _following(batch: list[Any]) -> int:
    return batch[-1].offset + 1 if batch else 0
