"""An outage is a handful of lines, however long it takes; a start says nothing of what passes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.tryout.local.broker import Broker
from tests.support.rig import Rig, http
from tests.support.tally import credit
from tests.support.tally_child import TallyChild
from tests.support.waiting import eventually

LOUD = ("warning", "error", "critical")


def loud(process: TallyChild) -> list[dict[str, Any]]:
    return [line for line in process.lines() if line.get("level") in LOUD]


@pytest.mark.real_kafka
async def test_a_process_says_of_an_outage_of_kafka_when_it_begins_and_how_often_it_failed(
    rig: Rig, broker: Broker, tmp_path: Path
) -> None:
    """Seen: 3,473 lines in one process within 58 s."""
    tally = TallyChild(rig, tmp_path)
    away = 0

    async def long_enough() -> bool:
        nonlocal away
        async with http(tally.port) as client:
            answers = (await client.get("/health/ready")).json()["broker"]
        away += not answers
        return away >= 30

    try:
        await tally.start()
        assert not [line for line in loud(tally) if "Coordinator" in line["event"]]
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.total("v"))
        await broker.kill()
        try:
            await eventually(long_enough, every=0.5)
        finally:
            await broker.restart()
        await rig.send(credit("w", 1))
        await eventually(lambda: rig.total("w"))
        await eventually(tally.ready)
    finally:
        await tally.stop()
    said = loud(tally)
    ended = [line for line in tally.lines() if "count" in line and line["level"] == "info"]
    assert said
    assert not [line for line in tally.lines() if line.get("raw")], "a trace"
    counted = sum(line["count"] for line in ended)
    print(f"{len(said)} lines of {counted}")
    assert len(said) < 60
    assert counted > len(said)
