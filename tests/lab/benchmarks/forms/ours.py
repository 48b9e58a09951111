"""Ours: attendance as it is, on the chassis' own lanes; relay, re-entry and HTTP are left out, as in the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from faststream.kafka import KafkaBroker
from pydantic import SecretStr

from services.attendance.policy import Policy
from services.attendance.service import under
from services.attendance.settings import AttendanceSettings
from services.chassis.base import logs
from services.chassis.base.clock import Clock
from services.chassis.base.database import open_pool
from services.chassis.batch.processing import Effects, Processor
from services.chassis.lanes.consuming import Lane
from services.chassis.process.garbage import collect_less
from tests.lab.benchmarks.forms.common import Order, topic_of
from tests.lab.benchmarks.forms.stopwatch import Stopwatch
from tests.support.naming import SECRET

__all__ = ["run"]


class _GatedLane(Lane):
    """A lane whose first batch waits at the gate."""

    stopwatch: Stopwatch

    @property
    def assigned(self) -> int:
        """How many partitions it has."""
        return len(self._next)

    async def share(self) -> int:
        """Events in its partitions."""
        ends = await self.consumer.end_offsets(list(self.consumer.assignment()))
        return int(sum(ends.values()))

    async def _handle(self, raw: Any) -> None:
        await self.stopwatch.gate.wait()
        await super()._handle(raw)


async def run(order: Order) -> Stopwatch:
    """Apply all events; gives the clock, stopped."""
    settings = AttendanceSettings(
        profile="test",
        kafka=order.kafka,
        database=SecretStr(order.database),
        naming_secret=SECRET,
        lanes=order.lanes,
        log_level="WARNING",
    )
    logs.configure(settings.log_level, "benchmark")
    entry = topic_of(order.topic)
    service = under(Policy(settings.day_cap_minutes))  # by check-ins alone, as the baselines decide
    [stream] = service.streams
    stream = replace(stream, group=order.group, topics=(entry,))
    processor = Processor(replace(service, streams=(stream,)), settings, Clock())
    stopwatch = Stopwatch(order.events)

    def committed(effects: Effects) -> None:
        stopwatch.count(len(effects.applied) + len(effects.asides))

    pool = await open_pool(order.database, size=2, application="benchmark")
    broker = KafkaBroker(order.kafka, logger=None, allow_auto_create_topics=False)
    lanes = []
    for number in range(order.lanes):
        lane = _GatedLane(
            processor, stream, f"{stream.group}-{order.instance}-{number}", pool, committed, stopwatch.fail
        )
        lane.stopwatch = stopwatch
        lane.subscribe(broker)
        lanes.append(lane)

    async def share() -> int:
        return sum([await lane.share() for lane in lanes])

    await broker.start()
    collect_less()
    each = entry.partitions // (order.lanes * order.processes)
    await asyncio.wait_for(stopwatch.open_when(lambda: all(lane.assigned == each for lane in lanes), share), 60)
    try:
        await stopwatch.finished()
    finally:
        await broker.stop()
        for lane in lanes:
            await lane.close()
        await pool.close()
    return stopwatch
