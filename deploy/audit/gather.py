"""Takes the snapshot: each topic from its first message to its last, and the audit views of services and registries."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.audit.world import INNER_DATABASES, Line, Row, Topics, World, line
from deploy.header_names import any_name_taken

__all__ = ["GatherError", "databases_on", "gather", "registries_of"]

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
_DATABASES = """SELECT datname FROM pg_database
WHERE NOT datistemplate AND datallowconn AND has_database_privilege(datname, 'CONNECT') ORDER BY datname"""
_OF_REGISTRY = re.compile(r"(adapter|sandbox)_([a-z0-9]+)")
"""A database that a restoration put by has a longer name."""
_FACE = "audit_"
"""What the names of views begin with that a service has for audits. Nothing else of its database is read."""


class GatherError(Exception):
    """The snapshot could not be taken: an address does not answer, or a topic or database is missing. ``todo``: what to
    do about it."""

    def __init__(self, problem: str, todo: str) -> None:
        super().__init__(problem)
        self.todo = todo


def registries_of(dsns: Mapping[str, str]) -> tuple[str, ...]:
    """The registries' codes, from databases named ``adapter_<code>`` and ``sandbox_<code>``."""
    return tuple(sorted({found[2] for name in dsns if (found := _OF_REGISTRY.fullmatch(name))}))


async def databases_on(server: str) -> dict[str, str]:
    """The addresses of the linkage's databases on a server that this address may connect to. Raises ``GatherError``."""
    async with _reading("the server", server) as connection:
        names = [row[0] for row in await connection.fetch(_DATABASES)]
    ours = [name for name in names if name in INNER_DATABASES or _OF_REGISTRY.fullmatch(name)]
    return {name: urlunsplit(urlsplit(server)._replace(path=f"/{name}")) for name in ours}


async def gather(kafka_address: str, dsns: Mapping[str, str], registries: Iterable[str] | None = None) -> World:
    """Take the snapshot. ``dsns`` by database: each service's and each adapter's, and ``sandbox_<code>`` of registries
    whose books may be seen.

    Raises ``GatherError``.
    """
    codes = tuple(sorted(registries)) if registries is not None else registries_of(dsns)
    if missing := [name for name in INNER_DATABASES if name not in dsns]:
        raise GatherError(
            f"no address for the database of {', '.join(missing)}",
            "give the addresses of all databases, or give a server and a role that may connect to all of them",
        )
    if not codes:
        raise GatherError(
            "no registry is given, and no registry has a database here", "give the folder of the registries' files"
        )
    services = [name for name in dsns if not name.startswith("sandbox_")]
    tables = dict(zip(services, await asyncio.gather(*(_views(name, dsns[name]) for name in services)), strict=True))
    seen = [code for code in codes if f"sandbox_{code}" in dsns]
    audits = await asyncio.gather(*(_audits(f"sandbox_{code}", dsns[f"sandbox_{code}"]) for code in seen))
    try:
        lines = await _read(kafka_address, Topics(codes), _applied(tables))
    except (OSError, KafkaError) as error:
        raise GatherError(
            f"{kafka_address} could not be read: {type(error).__name__} {error}",
            "see whether the broker runs, and whether this machine reaches the address that the broker advertises",
        ) from error
    return World(
        codes,
        lines,
        tables,
        {code: audit["served"] for code, audit in zip(seen, audits, strict=True)},
        {code: audit["credits"] for code, audit in zip(seen, audits, strict=True)},
    )


def _applied(tables: Mapping[str, Mapping[str, list[Row]]]) -> dict[tuple[str, int], int]:
    """The positions of the services: a replay must come at least as far."""
    ends: dict[tuple[str, int], int] = {}
    for of_service in tables.values():
        for row in of_service["consumed"]:
            place = (row["topic"], row["partition"])
            ends[place] = max(ends.get(place, 0), row["next_offset"])
    return ends


@contextlib.asynccontextmanager
async def _reading(database: str, dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that sees one moment and changes nothing. Raises ``GatherError``."""
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn, timeout=10)
        try:
            for kind in ("json", "jsonb"):
                await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection
        finally:
            await connection.close()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise GatherError(
            f"{database} could not be read: {type(error).__name__} {error}",
            "see whether PostgreSQL runs and lets this role in, and whether the database's migrations are applied",
        ) from error


async def _views(database: str, dsn: str) -> dict[str, list[Row]]:
    """All audit views of a service's database, at one moment, without the beginning of their names."""
    async with _reading(database, dsn) as connection:
        names = [row[0] for row in await connection.fetch(_VIEWS)]
        rows = {
            name.removeprefix(_FACE): [dict(row) for row in await connection.fetch(f'TABLE "{name}"')] for name in names
        }
    if not rows:
        raise GatherError(f"{database} has no audit views", "apply its migrations: they make the views")
    return rows


async def _audits(database: str, dsn: str) -> dict[str, list[Row]]:
    async with _reading(database, dsn) as connection:
        return {name: [dict(row) for row in await connection.fetch(query)] for name, query in _AUDITS.items()}


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
        if absent := sorted({place.topic for place in places} - await consumer.topics()):
            raise GatherError(
                f"{absent[0]} is not on {address}", "make the topics (shuangcheng topics), or give another broker"
            )
        begins = await consumer.beginning_offsets(places)
        if cut := next((place for place in places if begins[place] > 0), None):
            raise GatherError(
                f"{cut.topic}/{cut.partition} begins at offset {begins[cut]}: its first messages are deleted by now",
                "an audit needs the log from its first message: topics of registries keep fourteen days",
            )
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
            raise GatherError(
                f"{place.topic}/{place.partition} gave no message up to offset {target - 1} in {_READ_SECONDS:.0f} s",
                "see whether the services read this broker, and whether the topic was deleted and made again",
            )
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
