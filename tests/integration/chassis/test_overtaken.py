"""What PostgreSQL itself does where two write one row: who waited sees the other's row, and that it was overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import structlog

from services.chassis.base.database import open_connection
from services.chassis.base.overtaking import Overtaken, decided_again
from services.chassis.decisions import States
from services.chassis.tables import Table
from tests.support.statements import statements
from tests.support.tally import MIGRATION, Total
from tests.support.unlocked import overtaken
from tests.support.waiting import eventually

TOTAL = Table(Total, "total", key=("ref",))
Pair = tuple["asyncpg.Connection[asyncpg.Record]", "asyncpg.Connection[asyncpg.Record]"]


@pytest.fixture
async def pair(database: str) -> AsyncIterator[Pair]:
    """Two sessions as lanes have them."""
    one, other = [await open_connection(database, application=f"test-{number}") for number in range(2)]
    await one.execute(MIGRATION)
    await TOTAL.add(one, [Total("a", 1, []), Total("b", 1, [])])
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


async def loaded(db: asyncpg.Connection[asyncpg.Record], *refs: str) -> States:
    states = States()
    TOTAL.declare(states)
    await TOTAL.load_keys(db, states, refs)
    return states


async def waits_for_a_lock(db: asyncpg.Connection[asyncpg.Record]) -> bool:
    return bool(await db.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_who_waited_for_another_writer_compares_with_the_row_as_that_one_left_it(pair: Pair) -> None:
    one, other = pair
    first, second = await loaded(one, "a", "b"), await loaded(other, "a", "b")
    first.put(Total("b", 2, []))
    second.put(Total("a", 3, []))
    second.put(Total("b", 3, []))
    transaction = one.transaction()
    await transaction.start()
    await TOTAL.save(one, first)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_saved(other, second))
        await eventually(lambda: waits_for_a_lock(one))
        await transaction.commit()
    assert isinstance(waiting.result(), Overtaken)
    assert [tuple(row) for row in await one.fetch("SELECT ref, minutes FROM total ORDER BY ref")] == [
        ("a", 1),
        ("b", 2),
    ]


async def test_who_waited_for_a_writer_that_gave_up_was_not_overtaken(pair: Pair) -> None:
    one, other = pair
    first, second = await loaded(one, "a"), await loaded(other, "a")
    first.put(Total("a", 2, []))
    second.put(Total("a", 3, []))
    transaction = one.transaction()
    await transaction.start()
    await TOTAL.save(one, first)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_saved(other, second))
        await eventually(lambda: waits_for_a_lock(one))
        await transaction.rollback()
    assert waiting.result() is None
    assert await one.fetchval("SELECT minutes FROM total WHERE ref = 'a'") == 3


async def _saved(db: asyncpg.Connection[asyncpg.Record], states: States) -> Exception | None:
    try:
        async with db.transaction():
            await TOTAL.save(db, states)
    except Exception as error:
        return error
    return None


async def test_a_row_that_another_writer_made_or_deleted_meanwhile_overtakes(pair: Pair) -> None:
    one, other = pair
    states = await loaded(one, "new", "b")
    await TOTAL.add(other, [Total("new", 5, [])])
    states.put(Total("new", 1, []))
    assert isinstance(await _saved(one, states), Overtaken)
    states = await loaded(one, "new", "b")
    await other.execute("DELETE FROM total WHERE ref = 'b'")
    states.put(Total("b", 2, []))
    assert isinstance(await _saved(one, states), Overtaken)


async def test_neither_locks_nor_freezing_overtake(pair: Pair) -> None:
    one, other = pair
    states = await loaded(one, "a", "b")
    async with other.transaction():
        await other.fetch("SELECT FROM total FOR UPDATE")
        await other.fetch("SELECT FROM total FOR KEY SHARE")
    await other.execute("VACUUM (FREEZE) total")
    states.put(Total("a", 7, [1, 2]))
    states.put(Total("c", 8, []))
    assert await _saved(one, states) is None
    assert await TOTAL.fetch(one, "SELECT total.* FROM total ORDER BY ref") == [
        Total("a", 7, [1, 2]),
        Total("b", 1, []),
        Total("c", 8, []),
    ]


async def test_saving_is_one_statement_whatever_was_loaded_and_whatever_is_new(pair: Pair) -> None:
    one, _ = pair
    states = await loaded(one, "a", "b")
    for row in (Total("a", 2, []), Total("c", 3, []), Total("d", 4, [])):
        states.put(row)
    with statements(one) as seen:
        await TOTAL.save(one, states)
        await one.execute("SELECT 'end'")
        await eventually(lambda: "SELECT 'end'" in seen)
    assert len(seen) == 2


async def test_who_is_overtaken_again_and_again_is_counted_each_time_and_logged_once() -> None:
    runs = 0

    async def decide() -> str:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise Overtaken("total")
        return "done"

    before = overtaken()
    with structlog.testing.capture_logs() as logs:
        assert await decided_again("here", decide) == "done"
    assert overtaken() == before + 3
    assert [(line["event"], line["detail"]) for line in logs] == [
        ("batch overtaken, decided again", "Overtaken: total")
    ]


async def test_who_is_always_overtaken_gives_up_and_says_why() -> None:
    async def decide() -> None:
        raise Overtaken("total")

    with pytest.raises(Overtaken):
        await decided_again("here", decide)
