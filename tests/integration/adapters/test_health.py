"""What an adapter says of itself: whether its registry's system is there, and what waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from services.adapters.listening import Listener
from services.adapters.parts import Part, figures
from services.adapters.queries import waiting
from services.adapters.states import Letter, Waiting
from services.adapters.store import NOTICES, HeardLetters
from services.adapters.worker import Caller, Messenger
from services.chassis.base.logs import Episode
from services.chassis.base.persistent import cancel_all, persistent
from tests.conftest import NewDatabase
from tests.support.adapters import adapter, notice_of, troubles
from tests.support.registries import offered, own, seat
from tests.support.waiting import eventually


async def test_a_system_that_is_away_is_told_with_since_when_and_what_waits(new_database: NewDatabase) -> None:
    """Seen by hand: 52 s away, attempt 7, and nothing but a line in the log said so."""
    async with adapter(new_database) as ours:
        part = Part("notices")
        messenger = Messenger(ours.pool, ours.system, "sz", lambda: datetime.now(UTC), part=part)
        await ours.sandbox.misbehave(down_for_seconds=600)
        async with ours.pool.acquire() as db:
            await NOTICES.add(db, [notice_of(own("sz", offered("H-9")))])
        task = asyncio.create_task(persistent(messenger.session, part.interrupted))
        try:
            await eventually(lambda: part.away.count > 1)
            async with ours.pool.acquire() as db:
                said = figures([part], await waiting(db))
            assert said.state["system"]["notices"]["system"].startswith("away since 20")
            assert said.state["system"]["notices"]["due"] == 1
            assert {figure.name: figure.value for figure in said.gauges}["system_away_seconds"] > 0
            assert not part.interrupted.active, "it is none of its own faults"
            await ours.sandbox.misbehave(down_for_seconds=0)
            await eventually(lambda: not part.away.active)
            assert figures([part], {}).state["system"]["notices"]["system"] == "answers"
        finally:
            await cancel_all([task])


async def test_a_part_that_fails_over_and_over_leaves_the_others_at_work_and_says_so(
    new_database: NewDatabase,
) -> None:
    async with adapter(new_database) as ours:
        part = Part("calls")
        caller = Caller(ours.pool, ours.system, seat("idempotent"), lambda: datetime.now(UTC), part=part)
        await ours.pool.execute("ALTER TABLE credit RENAME TO elsewhere")
        task = asyncio.create_task(persistent(caller.session, part.interrupted))
        try:
            await eventually(lambda: part.interrupted.count > 1)
            assert "UndefinedTableError 42P01" in part.interrupted.detail
            await ours.pool.execute("ALTER TABLE elsewhere RENAME TO credit")
            await eventually(lambda: not part.interrupted.active)
            assert not task.done()
        finally:
            await cancel_all([task])


async def test_notices_that_were_told_and_cannot_be_noted_as_such_are_one_failure_that_lasts(
    new_database: NewDatabase,
) -> None:
    """Reading the next ones counted as work again: the failure began anew each second, and the adapter was ready."""
    async with adapter(new_database) as ours:
        part = Part("notices")
        messenger = Messenger(ours.pool, ours.system, "sz", lambda: datetime.now(UTC), part=part)
        async with ours.pool.acquire() as db:
            await NOTICES.add(db, [notice_of(own("sz", offered("H-9")))])
        await ours.pool.execute(
            """CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
               CREATE TRIGGER fails BEFORE DELETE OR UPDATE ON notice FOR EACH STATEMENT EXECUTE FUNCTION fails()"""
        )
        task = asyncio.create_task(persistent(messenger.session, part.interrupted))
        try:
            await eventually(lambda: part.interrupted.count > 1)
            await ours.pool.execute("DROP TRIGGER fails ON notice")
            await eventually(lambda: not part.interrupted.active)
        finally:
            await cancel_all([task])


async def test_a_database_that_is_back_is_no_trouble_though_the_system_stays_away(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        part = Part("listening")
        listener = Listener(ours.pool, ours.system, "sz", lambda: datetime.now(UTC), part)
        await ours.sandbox.misbehave(down_for_seconds=600)
        await ours.pool.execute("ALTER TABLE heard RENAME TO elsewhere")
        task = asyncio.create_task(persistent(listener.session, part.interrupted))
        try:
            await eventually(lambda: part.interrupted.active)
            await ours.pool.execute("ALTER TABLE elsewhere RENAME TO heard")
            await eventually(lambda: not part.interrupted.active and part.away.active)
        finally:
            await cancel_all([task])


async def test_two_letters_of_one_number_that_cannot_be_read_end_nothing(new_database: NewDatabase) -> None:
    """They met the key of the table for operators; the process ended, at every start again."""
    async with adapter(new_database) as ours:
        ear = HeardLetters(ours.pool, "sz")
        said = [Letter(1, None, "once", b"1"), Letter(1, None, "twice", b"2")]
        assert await ear.keep(0, said, datetime.now(UTC)) == said
        assert await ear.heard() == 1
        assert (await troubles(ours)).json()["not_understood"][1]["trouble"] == "twice"
        assert await ear.keep(1, said, datetime.now(UTC)) == [], "said again, they are nothing new"


def test_nothing_that_waits_is_a_figure_too() -> None:
    part = Part("calls")
    assert isinstance(part.away, Episode)
    assert {figure.value for figure in figures([part], {"calls": Waiting(0, 0.0)}).gauges} == {0}
