"""The log is not the one that was read: shorter, longer, cut, with more partitions. A clear stop, and nothing applied.

Each ends with what an operator does about it: the topic as the contract has it, ``forget-positions``, a new start.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from contracts.topics import ATTENDANCE_COMMANDS, IDENTITY_COMMANDS, OPPORTUNITIES_COMMANDS, TopicEntry
from deploy.local.processes import Child, own_environment
from deploy.local.topics import ensure_topics
from tests.faults.cell import Cell, Outcome
from tests.faults.load import plan, waves
from tests.faults.site import Site, died
from tests.support.waiting import eventually

__all__ = ["log_cells"]

_STOP_SECONDS = 40.0
Change: TypeAlias = Callable[[Site, TopicEntry], Awaitable[None]]


def log_cells() -> list[Cell]:
    """Each on the commands of another service, which only that service reads."""
    drift = ("9 partitions", 2)
    table: list[tuple[str, str, TopicEntry, str, Change, tuple[str, int]]] = [
        ("shorter", "identity", IDENTITY_COMMANDS, "was replaced by a shorter one", _shorter, ("shorter one", 1)),
        (
            "longer",
            "opportunities",
            OPPORTUNITIES_COMMANDS,
            "was replaced by a longer one",
            _longer,
            ("another message", 1),
        ),
        ("cut", "attendance", ATTENDANCE_COMMANDS, "was cut beyond the stored offset", _cut, ("retention", 1)),
        ("partitions", "attendance", ATTENDANCE_COMMANDS, "got one more partition", _partitions, drift),
        ("growing", "attendance", ATTENDANCE_COMMANDS, "got one more partition while it is read", _partitions, drift),
    ]
    return [
        Cell(
            f"log-{id}",
            service,
            f"{topic.name} {what}",
            partial(_stopped, service, topic, change, says, id == "growing"),
            leaves="cut",
            takes=45 if id == "growing" else 10,
        )
        for id, service, topic, what, change, says in table
    ]


async def _stopped(
    name: str, topic: TopicEntry, change: Change, says: tuple[str, int], running: bool, site: Site, rng: random.Random
) -> Outcome:
    planned = plan(rng, 12)
    before, after = waves(planned, 2)
    await site.publish(before)
    await site.drained()
    if not running:
        await site.child(name).stop()
    await change(site, topic)
    stood, seen = await _figures(site, name), len(site.child(name).log.read_bytes())
    if not running:
        await site.stack.launch(name)
    child = site.child(name)
    gone = await died(child, seconds=_STOP_SECONDS)
    if gone is None:
        await child.stop()
    said = child.log.read_bytes()[seen:].decode(errors="replace")
    words, status = says
    checks = {
        "it_stopped": gone is not None and child.returncode == status,
        "it_said_why": words in said.splitlines()[-1] and topic.name in said.splitlines()[-1] if said else False,
        "nothing_was_applied": stood == await _figures(site, name),
    }
    begun = time.monotonic()
    checks["operator_forgot_positions"] = await _repair(site, name, topic) == 0
    await site.stack.start(name)
    await site.publish(after)
    await site.drained()
    recovered = time.monotonic() - begun
    more, notes = await site.judge(planned)
    return Outcome(checks | more, recovered, [said.splitlines()[-1][-300:] if said else "it said nothing", *notes])


async def _figures(site: Site, name: str) -> list[Any]:
    """All that a message could change in its database."""
    tables = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1"""
    found: list[Any] = []
    for (table,) in await site.books.fetch(name, tables):
        found.append(
            (
                table,
                await site.books.value(
                    name, f"SELECT md5(string_agg(t::text, e'\\n' ORDER BY t::text)) FROM \"{table}\" t"
                ),
            )
        )
    return found


async def _repair(site: Site, name: str, topic: TopicEntry) -> int:
    """The operator's decision: the topic as the contract has it, positions in it forgotten."""
    await _made_anew(site, topic)
    spec = site.stack.specs[name]
    job = Child(
        name=f"{name} forget-positions",
        command=[sys.executable, "-m", spec.module, "forget-positions", topic.name],
        log=site.stack.folder / "logs" / f"{name}.forget.log",
        env=own_environment(site.stack.environment(spec, {})),
        folder=Path(__file__).parent.parent.parent,
    )
    return await job.run()


async def _made_anew(site: Site, topic: TopicEntry) -> None:
    admin = await _admin(site)
    try:
        await admin.delete_topics([topic.name])
        await eventually(lambda: _gone(admin, topic.name), 20, every=0.1)
        await ensure_topics(site.stack.broker.address, [topic])
    finally:
        await admin.close()


async def _gone(admin: AIOKafkaAdminClient, name: str) -> bool:
    return name not in await admin.list_topics()


async def _admin(site: Site) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=site.stack.broker.address, request_timeout_ms=15_000)
    await admin.start()
    return admin


async def _shorter(site: Site, topic: TopicEntry) -> None:
    await _made_anew(site, topic)


async def _longer(site: Site, topic: TopicEntry) -> None:
    ends = await _ends(site, topic)
    await _made_anew(site, topic)
    producer = AIOKafkaProducer(bootstrap_servers=site.stack.broker.address)
    await producer.start()
    try:
        for place, end in ends.items():
            for number in range(end + 20):
                await producer.send(topic.name, b"of another log %d" % number, partition=place.partition)
        await producer.flush()
    finally:
        await producer.stop()


async def _cut(site: Site, topic: TopicEntry) -> None:
    """While the service is away more comes, and retention eats it."""
    await site.publish([one for each in plan(random.Random(7), 8) for one in each.said])
    await site.quiet.until(
        lambda look: all(not count or place == ("attendance", "unread") for place, count in look.work.items())
    )
    admin = await _admin(site)
    try:
        ends = await _ends(site, topic)
        await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in ends.items()})
    finally:
        await admin.close()


async def _partitions(site: Site, topic: TopicEntry) -> None:
    admin = await _admin(site)
    try:
        await admin.create_partitions({topic.name: NewPartitions(total_count=topic.partitions + 1)})
        await eventually(lambda: _counts(admin, topic), 20, every=0.1)
    finally:
        await admin.close()


async def _counts(admin: AIOKafkaAdminClient, topic: TopicEntry) -> bool:
    (found,) = await admin.describe_topics([topic.name])
    return len(found["partitions"]) == topic.partitions + 1


async def _ends(site: Site, topic: TopicEntry) -> dict[TopicPartition, int]:
    reader = AIOKafkaConsumer(bootstrap_servers=site.stack.broker.address, enable_auto_commit=False)
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    reader.assign(places)
    await reader.start()
    try:
        ends: dict[TopicPartition, int] = await reader.end_offsets(places)
        return ends
    finally:
        await reader.stop()
