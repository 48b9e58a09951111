"""A restored service finds out by itself, decides what came since once more, and says nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.tryout.local.broker import Broker
from services.chassis.base.migrations import migrate
from services.chassis.log import kafka
from services.chassis.log.positions import SetBack
from services.chassis.process import by_hand
from tests.conftest import NewDatabase
from tests.support.restoring import living, name_of, said_on, twice
from tests.support.rig import Rig, http, standing
from tests.support.tally import as_record, credit
from tests.support.tally_child import TallyChild
from tests.support.waiting import eventually

_TOTALS = "SELECT ref, minutes, seen FROM total ORDER BY ref"
_ONE_AT_A_TIME = 0x5C_06


async def copied(rig: Rig, new_database: NewDatabase) -> str:
    """What a dump of this moment would give; nobody may be connected meanwhile."""
    dsn = rig.settings.database.get_secret_value()
    await rig.db.close()
    copy = await new_database(name_of(dsn))
    rig.db = await asyncpg.connect(dsn)
    return copy


async def restored(rig: Rig, dsn: str) -> None:
    """From now on the rig is about that database."""
    await rig.db.close()
    rig.settings = rig.settings.model_copy(update={"database": SecretStr(dsn)})
    rig.db = await asyncpg.connect(dsn)


async def applied(rig: Rig, count: int) -> None:
    await eventually(lambda: rig.db.fetchval("SELECT count(*) = $1 FROM inbox", count))
    await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))


async def totals(rig: Rig) -> list[tuple[Any, ...]]:
    return [(row["ref"], row["minutes"], json.loads(row["seen"])) for row in await rig.db.fetch(_TOTALS)]


async def ids_on(broker: Broker, rig: Rig) -> list[str]:
    events = await said_on(broker, rig.tally.outlet.name)
    assert twice(events) == []
    return sorted(event.id for event in events)


async def test_what_waited_is_released_or_refused_as_it_was(
    rig: Rig, broker: Broker, new_database: NewDatabase
) -> None:
    async with rig.running(await_facts=1):
        await rig.send(credit("v", 1), credit("wait-z-1", 7))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside"))
    dump = await copied(rig, new_database)
    async with rig.running(await_facts=1):
        await rig.send(credit("wait-x-1", 3), credit("wait-y-1", 4), credit("wait-y-1", 5))
        await eventually(lambda: rig.tally.refused == 4)
        await rig.send(credit("fact-z", 1), credit("fact-y", 1), credit("wait-y-1", 6))
        await applied(rig, 8)
        await rig.send(credit("wait-w-1", 9))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside"))
        await rig.send(credit("fact-w", 1), credit("v", 2))
        await applied(rig, 11)
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    before, said = await totals(rig), await ids_on(broker, rig)
    assert ("wait-w-1", 9, [9]) in before
    assert ("wait-y-1", 6, [6]) in before
    await restored(rig, dump)
    async with living(rig.tally.service(), rig.settings.model_copy(update={"await_facts": 1})):
        assert await totals(rig) == before
        assert await rig.aside() == {}
        assert await rig.db.fetchval("SELECT count(*) FROM said_since WHERE NOT again") == 0
        await rig.send(credit("v", 4))
        await applied(rig, 12)
    assert len(await ids_on(broker, rig)) == len(said) + 1
    assert rig.tally.refused == 2 * 4


async def test_what_would_be_said_otherwise_is_set_aside_and_an_operator_settles_it(
    rig: Rig, broker: Broker, new_database: NewDatabase
) -> None:
    async with rig.running():
        await rig.send(credit("v", 1))
        await applied(rig, 1)
    dump = await copied(rig, new_database)
    async with rig.running():
        await rig.send(*[credit(f"v{n}", n) for n in range(20)])
        await applied(rig, 21)
    said = await ids_on(broker, rig)
    await restored(rig, dump)
    rig.tally.says_twice_as_much = True  # a later version of the rule
    async with rig.running() as runtime:
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 19 FROM set_aside"))
        health = await runtime.health()
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM restored"))
        health = await eventually(runtime.health)
        assert not health["ready"]
        assert any("said_otherwise" in why for why in health["why"]), health["why"]
        port = runtime.settings.http_port
        await eventually(lambda: runtime.lanes[0].ready.is_set())
        numbers = await standing(port, "said_otherwise")
        async with http(port) as client:
            answer = (await client.post("/operations/set-aside/release", json={"sequences": numbers[:1]})).json()
            assert [kept["error"] for kept in answer["kept"]] == ["said_otherwise"]
            settled = {"sequences": numbers, "why": "the homes have what was said first"}
            answer = (await client.post("/operations/set-aside/discard", json=settled)).json()
        assert answer["kept"] == []

        async def ready() -> bool:
            return bool((await runtime.health())["ready"])

        await eventually(ready)
    assert await ids_on(broker, rig) == said


async def test_a_replay_that_is_killed_begins_anew_and_says_nothing_twice(
    rig: Rig, broker: Broker, new_database: NewDatabase, tmp_path: Path
) -> None:
    async with rig.running():
        await rig.send(credit("v", 1))
        await applied(rig, 1)
    dump = await copied(rig, new_database)
    async with rig.running():
        await rig.send(*[credit(f"v{n % 7}", n) for n in range(300)])
        await applied(rig, 301)
    before, said = await totals(rig), await ids_on(broker, rig)
    await restored(rig, dump)
    dying = TallyChild(rig, tmp_path, "dying", FAILPOINT="P2:3", BATCH="20")
    dying.child.expected_end = True
    await dying.child.start()
    await dying.child.wait()
    assert 0 < await rig.db.fetchval("SELECT count(*) FROM inbox") < 301
    assert await rig.db.fetchval("SELECT count(*) FROM restored") == 1
    async with living(rig.tally.service(), rig.settings):
        assert await totals(rig) == before
        assert await rig.db.fetchval("SELECT count(*) FROM said_since WHERE NOT again") == 0
    assert await ids_on(broker, rig) == said


async def test_a_relay_that_was_killed_before_it_deleted_what_it_had_sent_is_no_restored_one(
    rig: Rig, tmp_path: Path
) -> None:
    dying = TallyChild(rig, tmp_path, "dying", FAILPOINT="P5:2")
    dying.child.expected_end = True
    await dying.child.start()
    await eventually(lambda: rig.db.fetchval("SELECT count(*) > 0 FROM consumed"))
    await rig.send(credit("v", 1))
    await eventually(lambda: rig.db.fetchval("SELECT count(*) > 0 FROM inbox"))
    await rig.send(credit("v", 2), credit("w", 3))
    await dying.child.wait()
    assert await rig.db.fetchval("SELECT count(*) > 0 FROM outbox")
    again = TallyChild(rig, tmp_path, "again")
    await again.start()
    await applied(rig, 3)
    await again.stop()
    assert [line for line in again.lines() if "restored" in line["event"]] == []


async def test_a_database_from_before_what_was_said_was_kept_is_none_that_was_restored(rig: Rig) -> None:
    async with rig.running():
        await rig.send(*[credit(f"v{n}", n) for n in range(20)])
        await applied(rig, 20)
    await rig.db.execute("DELETE FROM said")
    async with living(rig.tally.service(), rig.settings):
        assert await rig.db.fetchval("SELECT count(*) FROM said_since") == 0
        assert await rig.db.fetchval("SELECT sum(next_offset) FROM said") == 20


async def test_a_database_from_before_waits_for_leaders_and_is_not_taken_for_a_restored_one_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig.running():
        await rig.send(*[credit(f"v{n}", n) for n in range(20)])
        await applied(rig, 20)
    await rig.db.execute("DELETE FROM said")
    led, looks = kafka.led, iter(range(1000))

    def without_leaders_at_the_first_look(*asked: Any) -> set[Any]:
        found = led(*asked)
        mine = {tp for tp in found if tp.topic == rig.tally.outlet.name}
        return found - mine if mine and next(looks) == 0 else found

    monkeypatch.setattr(kafka, "led", without_leaders_at_the_first_look)
    for _ in range(2):
        async with living(rig.tally.service(), rig.settings):
            assert await rig.db.fetchval("SELECT count(*) FROM said_since") == 0
            assert await rig.db.fetchval("SELECT sum(next_offset) FROM said") == 20


async def test_a_log_that_is_shorter_than_what_was_said_stops_nobody(rig: Rig) -> None:
    async with rig.running():
        await rig.send(credit("v", 1))
        await applied(rig, 1)
    await rig.db.execute("UPDATE said SET next_offset = next_offset + 1000")
    async with living(rig.tally.service(), rig.settings):
        await rig.send(credit("v", 2))
        await applied(rig, 2)
    assert await rig.db.fetchval("SELECT sum(next_offset) FROM said") == 2


async def test_a_restored_database_knows_nothing_of_what_stands_in_a_log_that_is_shorter_than_it_said(rig: Rig) -> None:
    """The dump is from before the log was replaced: all that stands in the new one was said by a later life."""
    async with rig.running():
        await rig.send(*[credit("v", n) for n in range(5)])
        await applied(rig, 5)
    await rig.db.execute("UPDATE said SET next_offset = next_offset + 1000")
    await by_hand.restored(rig.settings)
    async with living(rig.tally.service(), rig.settings):
        assert await rig.db.fetchval("SELECT count(*) FROM said_since") == 5
    assert await rig.db.fetchval("SELECT sum(next_offset) FROM said") == 5


async def test_what_an_operator_says_is_looked_into_and_a_false_alarm_costs_nothing(rig: Rig, broker: Broker) -> None:
    async with rig.running():
        await rig.send(credit("v", 1))
        await applied(rig, 1)
    await by_hand.restored(rig.settings)
    async with living(rig.tally.service(), rig.settings):
        assert await rig.db.fetchval("SELECT count(*) FROM restored") == 0
        await rig.send(credit("v", 2))
        await applied(rig, 2)
    assert len(await ids_on(broker, rig)) == 2


async def test_what_somebody_wrote_by_hand_in_the_name_of_a_service_is_no_later_life(rig: Rig) -> None:
    """Its own words have the moment of their decision; `shuangcheng send` writes none."""
    async with rig.running():
        await rig.send(credit("v", 1))
        await applied(rig, 1)
    key, value, headers = as_record(credit("v", 2, source=rig.tally.service().source))
    await rig.producer.send_and_wait(rig.tally.outlet.name, key=key, value=value, headers=headers)
    async with living(rig.tally.service(), rig.settings):
        assert await rig.db.fetchval("SELECT count(*) FROM said_since") == 0
        await rig.send(credit("v", 3))
        await applied(rig, 2)


async def test_one_process_looks_and_the_others_wait_and_say_so(rig: Rig) -> None:
    await rig.db.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
    async with rig.running() as runtime:

        async def says_so() -> bool:
            return any("another process" in why for why in (await runtime.health())["why"])

        await eventually(says_so)
        assert not any(lane.ready.is_set() for lane in runtime.lanes)
        await rig.db.execute("SELECT pg_advisory_unlock($1)", _ONE_AT_A_TIME)
        await rig.send(credit("v", 1))
        await applied(rig, 1)


async def test_a_process_that_is_asked_to_stop_while_it_waits_stops_in_order(rig: Rig) -> None:
    await rig.db.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
    async with rig.running() as runtime:
        await eventually(lambda: runtime._health is not None)
        runtime.stopping.set()
    assert runtime.fatal is None
    assert not await rig.db.fetchval("SELECT EXISTS (SELECT FROM consumed)")


async def test_a_database_that_was_lost_is_filled_from_the_log_and_says_nothing_twice(
    rig: Rig, broker: Broker, new_database: NewDatabase
) -> None:
    empty = await new_database()
    await migrate(empty, rig.tally.migrations)
    async with rig.running():
        await rig.send(*[credit(f"v{n % 5}", n) for n in range(50)])
        await applied(rig, 50)
    before, said = await totals(rig), await ids_on(broker, rig)
    await restored(rig, empty)
    async with living(rig.tally.service(), rig.settings):
        assert await totals(rig) == before
    assert await ids_on(broker, rig) == said


async def test_a_process_under_which_the_database_goes_back_stops(rig: Rig) -> None:
    with pytest.raises(SetBack, match="start again"):
        await _set_back(rig)


async def _set_back(rig: Rig) -> None:
    async with rig.running() as runtime:
        await rig.send(*[credit("v", n) for n in range(5)])
        await applied(rig, 5)
        back = "UPDATE consumed SET next_offset = next_offset - 2, last_mark = NULL WHERE next_offset > 0"
        await rig.db.execute(back)
        await rig.send(credit("v", 7))
        await runtime.stopping.wait()
