"""The chassis around a small service, on the session's broker and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from faststream.kafka.subscriber.usecase import BatchSubscriber

from contracts.partitioner import partition_for
from services.chassis.process.runtime import Runtime
from tests.support.rig import Rig, release_raised
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually


async def test_every_message_takes_effect_once_though_sent_twice_and_the_service_restarted(rig: Rig) -> None:
    events = [credit(f"v{n % 7}", 1, id=f"e{n}") for n in range(500)]
    async with rig.running():
        await rig.send(*events)
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) = 500 FROM total"))
    await rig.send(*events, credit("v0", 1000, id="last"))
    async with rig.running():
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) >= 1500 FROM total"))
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 1500
    assert await rig.db.fetchval("SELECT count(*) FROM outbox") == 0
    assert await rig.aside() == {}


async def test_a_raising_decision_parks_its_subject_only_and_release_applies_in_order(rig: Rig) -> None:
    async with rig.running() as runtime:
        await rig.send(credit("raise-a", 1), credit("raise-a", -5), *[credit("raise-a", n) for n in range(2, 40)])
        await rig.send(credit("other", 7))
        await eventually(lambda: rig.total("other"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 39 FROM set_aside"))
        assert await rig.aside() == {"raised": 1, "behind": 38}
        assert await rig.total("raise-a") == 1
        rig.tally.broken = False
        await release_raised(runtime.settings.http_port)
        await rig.send(*[credit("raise-a", n) for n in range(40, 200)])
        await eventually(
            lambda: rig.db.fetchval("SELECT minutes = $1 FROM total WHERE ref = 'raise-a'", 1 - 5 + sum(range(2, 200)))
        )
        seen = json.loads(await rig.db.fetchval("SELECT seen FROM total WHERE ref = 'raise-a'"))
        assert seen == [1, -5, *range(2, 200)]
        await eventually(lambda: rig.db.fetchval("SELECT NOT bool_or(parked) FROM entity"))
        assert await rig.aside() == {}


async def test_what_waits_is_applied_when_its_fact_comes_and_refused_when_its_time_is_up(rig: Rig) -> None:
    async with rig.running():
        await rig.send(credit("wait-x-1", 3), credit("wait-x-1", 4), credit("wait-y-1", 5))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 3 FROM set_aside"))
        assert await rig.aside() == {"waiting": 2, "behind": 1}
        await rig.send(credit("fact-x", 1))
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 7 FROM total WHERE ref = 'wait-x-1'"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
        assert await rig.total("wait-y-1") is None
        await rig.send(credit("fact-y", 1), credit("wait-y-1", 6))
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 6 FROM total WHERE ref = 'wait-y-1'"))


async def test_one_the_database_refuses_is_isolated_among_its_batch(rig: Rig) -> None:
    events = [credit(f"check-{n}", 1) for n in range(300)]
    events[150:150] = [credit("check-bad", -1), credit("check-bad", -9)]
    await rig.send(*events)
    async with rig.running():
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 300 FROM total"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside"))
    assert await rig.aside() == {"raised": 1, "behind": 1}


async def test_one_bad_message_of_each_kind_among_ten_thousand_stops_none_of_the_others(rig: Rig) -> None:
    good = [credit(f"g{n % 97}", 1, id=f"g{n}") for n in range(10_000)]
    await rig.send(*good[:5_000])
    _, value, headers = as_record(credit("x", 1))
    unknown = [(name, b"nope.v9" if name == "ce_type" else part) for name, part in headers]
    bad: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
        (b"k", b"\xff\x00\xfe", headers),
        (b"x", b"{}", headers),
        (b"y", value, headers),
        (b"x", value, unknown),
        (b"x", None, headers),
        (None, value, [("ce_id", b"\xff\xfe"), *headers]),
    ]
    for key, body, described in bad:
        await rig.producer.send(rig.tally.inlet.name, key=key, value=body, headers=described)
    key, value, headers = as_record(credit("x", 1))
    other = (partition_for("x", rig.tally.inlet.partitions) + 1) % rig.tally.inlet.partitions
    await rig.producer.send(rig.tally.inlet.name, key=key, value=value, headers=headers, partition=other)
    stranger = credit("z", 1, source="urn:shuangcheng:registry:qq")
    await rig.send(credit("g0", 50, id="g0"), stranger, credit("raise-z", -7), credit("raise-z", 8), *good[5_000:])
    async with rig.running():
        await eventually(lambda: rig.db.fetchval("SELECT coalesce(sum(minutes), 0) >= 10000 FROM total"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 11 FROM set_aside"))
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 10_000
    assert await rig.aside() == {
        "bytes": 2,
        "schema": 1,
        "wrong_key": 1,
        "wrong_partition": 1,
        "unknown_type": 1,
        "envelope": 1,
        "reused_id": 1,
        "wrong_source": 1,
        "raised": 1,
        "behind": 1,
    }


async def test_two_lanes_and_a_second_instance_share_the_work_and_lose_nothing(rig: Rig) -> None:
    async with rig.running(lanes=2):
        await rig.send(*[credit(f"v{n % 50}", 1) for n in range(1000)])
        async with rig.running(lanes=2):
            await rig.send(*[credit(f"v{n % 50}", 1) for n in range(1000)])
            await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) >= 2000 FROM total"))
        await rig.send(*[credit(f"v{n % 50}", 1) for n in range(1000)])
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) >= 3000 FROM total"))
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 3000
    assert await rig.aside() == {}


async def test_no_lane_waits_until_another_lane_has_joined_its_group(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """They joined one after another. A broker may take seconds for the first member of a group."""
    all_begun, start = asyncio.Barrier(2), BatchSubscriber.start

    async def once_all_have_begun(lane: Any) -> None:
        async with asyncio.timeout(120):
            await all_begun.wait()
        await start(lane)

    monkeypatch.setattr(BatchSubscriber, "start", once_all_have_begun)
    async with rig.running(lanes=2):
        await rig.send(*[credit(f"v{n}", 1) for n in range(50)])
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) = 50 FROM total"))


async def test_a_lane_that_cannot_start_stops_the_service_with_its_own_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_: Any) -> None:
        raise OSError("as asked")

    monkeypatch.setattr(BatchSubscriber, "start", failing)
    with pytest.raises(OSError, match="as asked"):
        await Runtime(rig.tally.service(), rig.settings.model_copy(update={"lanes": 2})).run()
