"""The chassis around a small service, on the session's broker and PostgreSQL."""

from __future__ import annotations

import json

from tests.support.rig import Rig
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
        await rig.db.execute("UPDATE set_aside SET reason = 'ready' WHERE reason = 'raised'")
        runtime.reentry.wake.set()
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


async def test_bad_messages_of_each_kind_among_good_ones_are_quarantined_with_their_reason(rig: Rig) -> None:
    good = [credit(f"g{n % 9}", 1, id=f"g{n}") for n in range(200)]
    await rig.send(*good[:100])
    _, value, headers = as_record(credit("x", 1))
    topic = rig.tally.inlet.name
    await rig.producer.send(topic, key=b"k", value=b"\xff\x00\xfe", headers=headers)
    await rig.producer.send(topic, key=b"x", value=b"{}", headers=headers)
    await rig.producer.send(topic, key=b"y", value=value, headers=headers)
    await rig.producer.send(topic, key=b"x", value=None, headers=[("ce_id", b"\xff\xfe")])
    await rig.producer.send(
        topic, key=b"x", value=value, headers=[(k, b"nope.v9" if k == "ce_type" else v) for k, v in headers]
    )
    await rig.producer.send(topic, key=None, value=value, headers=[("ce_id", b"\xff\xfe"), *headers])
    await rig.send(credit("g0", 50, id="g0"), credit("z", 1, source="urn:shuangcheng:registry:qq"), *good[100:])
    async with rig.running():
        await eventually(lambda: rig.db.fetchval("SELECT coalesce(sum(minutes), 0) = 200 FROM total"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 8 FROM set_aside"))
    aside = await rig.aside()
    assert sum(aside.values()) == 8
    assert set(aside) == {"schema", "wrong_key", "bytes", "unknown_type", "envelope", "reused_id", "wrong_source"}, (
        aside
    )


async def test_two_lanes_and_a_second_instance_share_the_work_and_lose_nothing(rig: Rig) -> None:
    async with rig.running(lanes=2, instance=0):
        await rig.send(*[credit(f"v{n % 50}", 1) for n in range(1000)])
        async with rig.running(lanes=2, instance=1):
            await rig.send(*[credit(f"v{n % 50}", 1) for n in range(1000)])
            await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) >= 2000 FROM total"), timeout=40)
        await rig.send(*[credit(f"v{n % 50}", 1) for n in range(1000)])
        await eventually(lambda: rig.db.fetchval("SELECT sum(minutes) >= 3000 FROM total"), timeout=40)
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 3000
    assert await rig.aside() == {}
