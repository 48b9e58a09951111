"""W2: from ServiceAttested on the host's topic to the row in the home's own database, at 50 a second.

Seen from outside, by one clock: the moment before a message is given to the producer, and the moment at which a poll
of the home's ledger (every 10 ms, its own connection) first shows the posting. Nothing of ours tells the time.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaProducer

from contracts.envelope import encode
from deploy.operate.lines import Letter
from deploy.operate.publishing import Publisher
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from services.chassis.base.persistent import cancel_all
from tests.lab.benchmarks.report import Result
from tests.lab.benchmarks.season import HOME, HOST, Season
from tests.lab.benchmarks.stage import Stage
from tests.support.waiting import eventually

__all__ = ["latency"]

_PER_SECOND = 50
_PERSONS, _DAYS = 200, 4
_ROUNDS = 4
"""The load is cut into so many equal parts, each with percentiles of its own."""
_POLL = 0.01
_LIMIT_MS = 1000
_NEW = "SELECT number, record_ref, minutes FROM posting WHERE number > $1 ORDER BY number"
_LINKED = "SELECT count(*) >= $1 FROM link WHERE established"
_SIGNED_UP = "SELECT count(*) >= $1 FROM signup WHERE state = 'confirmed'"
_CAME = "SELECT count(*) >= $1 FROM presence WHERE left_at IS NOT NULL"


async def latency(stage: Stage, progress: Callable[[str], None]) -> list[Result]:
    """Run a whole linkage on the stage's broker and database, and measure; gives p50 and p99."""
    os.environ["SHUANGCHENG_POSTGRES"] = stage.postgres.admin_dsn
    kinds = {HOST: "kafka_native", HOME: "kafka_native"}
    season = Season(_PERSONS, _DAYS, datetime.now(UTC))
    async with Stack(StackOptions(kinds=kinds, broker=stage.broker.address)) as stack:
        await _begin(stack, season, progress)
        progress(f"latency: {_PERSONS * _DAYS} records at {_PER_SECOND} a second")
        watch = _Watch(await asyncpg.connect(stack.dsn[f"sandbox_{HOME}"]), _PERSONS * _DAYS)
        watching = asyncio.create_task(watch.run())
        try:
            published = await _publish(stack.broker.address, season)
            await asyncio.wait_for(asyncio.shield(watching), 30)
        except TimeoutError:
            progress(f"latency: {len(watch.seen)} of {_PERSONS * _DAYS} records were credited")
        finally:
            await cancel_all([watching])
            await watch.db.close()
    return _results(published, watch, season)


async def _begin(stack: Stack, season: Season, progress: Callable[[str], None]) -> None:
    """Everyone is linked, has a post, has come and has gone, as it goes in operation."""
    total = season.persons * season.days
    steps = (
        ("linked", season.links(), f"sandbox_{HOST}", _LINKED, season.persons),
        ("signed up", season.sign_ups(), f"sandbox_{HOST}", _SIGNED_UP, total),
        ("come and gone", season.stays(), "attendance", _CAME, total),
    )
    async with Publisher(stack.broker.address) as publisher:
        for what, letters, database, condition, count in steps:
            await publisher.publish(list(letters))
            db = await asyncpg.connect(stack.dsn[database])
            await eventually(lambda db=db, sql=condition, n=count: db.fetchval(sql, n), 60, every=0.1, what=what)  # type: ignore[misc]
            await db.close()
            progress(f"latency: {count} {what}")


class _Watch:
    """When each record stood in the home's ledger, and its minutes."""

    def __init__(self, db: asyncpg.Connection[asyncpg.Record], expected: int) -> None:
        self.db = db
        self.seen: dict[str, float] = {}
        self.minutes = 0
        self.postings = 0
        self._expected = expected

    async def run(self) -> None:
        """Poll until all are there, and a little longer: one too many would be a fault."""
        last = 0
        until = None
        while until is None or time.perf_counter() < until:
            for row in await self.db.fetch(_NEW, last):
                self.seen.setdefault(row["record_ref"], time.perf_counter())
                self.minutes += row["minutes"]
                self.postings += 1
                last = row["number"]
            if until is None and len(self.seen) >= self._expected:
                until = time.perf_counter() + 0.5
            await asyncio.sleep(_POLL)


async def _publish(address: str, season: Season) -> dict[str, float]:
    """Publish by the clock, late ones at once; gives the moment of each by record."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    published: dict[str, float] = {}
    try:
        start = time.perf_counter()
        for place, (ref, letter) in enumerate(season.records()):
            await asyncio.sleep(max(0.0, start + place / _PER_SECOND - time.perf_counter()))
            published[ref] = time.perf_counter()
            await _send(producer, letter)
        await producer.flush()
    finally:
        await producer.stop()
    return published


async def _send(producer: AIOKafkaProducer, letter: Letter) -> None:
    value, headers = encode(letter.event)
    await producer.send(letter.topic, key=letter.event.key.encode(), value=value, headers=headers)


def _results(published: dict[str, float], watch: _Watch, season: Season) -> list[Result]:
    waits = [1000 * (watch.seen[ref] - at) for ref, at in published.items() if ref in watch.seen]
    part = max(1, len(waits) // _ROUNDS)
    rounds = [waits[at : at + part] for at in range(0, part * _ROUNDS, part)]
    checks = {
        "each_record_credited_once": len(watch.seen) == len(published) == watch.postings,
        "minutes": watch.minutes == season.minutes,
    }
    slowest = _percentile(waits, 99) if waits else None
    targets = {f"p99_under_{_LIMIT_MS}_ms": slowest is not None and slowest < _LIMIT_MS}
    return [
        Result(
            "latency",
            f"p{percent} at {_PER_SECOND}/s",
            "ms",
            rounds=[_percentile(some, percent) for some in rounds if some],
            checks=dict(checks),
            targets=targets if percent == 99 else {},
            notes={"whole_load": round(_percentile(waits, percent)) if waits else None, "records": len(waits)},
        )
        for percent in (50, 99)
    ]


def _percentile(values: list[float], percent: int) -> float:
    """The value that so many in a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
