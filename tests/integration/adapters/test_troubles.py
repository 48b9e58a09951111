"""What goes wrong with one credit or one notice is seen, and the others go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.adapters.kinds.rest_api.client import read_answer
from services.adapters.states import Credit, Notice, Outcome
from services.adapters.store import NOTICES
from services.adapters.worker import Messenger
from services.chassis.base.persistent import cancel_all
from tests.conftest import NewDatabase
from tests.support.adapters import Adapter, Watched, adapter, notice_of, troubles
from tests.support.registries import credit, offered, own
from tests.support.waiting import eventually


async def credits_in_trouble(ours: Adapter) -> list[tuple[str, str, str]]:
    found = (await troubles(ours)).json()["credits"]
    return [(one["volunteer_ref"], one["state"], one["trouble"]) for one in found]


class Odd(Watched):
    """The registry answers about H-1 in a way that nobody thought of, until it is mended."""

    mended = False

    async def post(self, credit: Credit) -> Outcome:
        outcome = await super().post(credit)
        if credit.volunteer_ref != "H-1" or self.mended:
            return outcome
        said = {"流水号": str(credit.transfer_id), "结果": "已入账", "分钟": 1441, "入账时间": "2026-07-04T09:00:00"}
        return read_answer(credit, httpx.Response(200, json={"回执": [said]}))


class Broken(Watched):
    """Our own code fails over H-1, after the registry posted."""

    async def post(self, credit: Credit) -> Outcome:
        outcome = await super().post(credit)
        if credit.volunteer_ref == "H-1" and self.posts[credit.transfer_id] == 1:
            raise LookupError("nobody thought of this")
        return outcome


async def test_one_odd_receipt_stops_nothing_and_its_credit_stands_to_be_seen(new_database: NewDatabase) -> None:
    """It passed for an answer, no receipt could be made of it, and worker and process ended at every start."""
    async with adapter(new_database, refs=("H-1", "H-2"), system=Odd) as ours:
        await ours.due(credit("H-1", 10), credit("H-2", 20), credit("H-2", 30))
        async with ours.running():

            async def others() -> bool:
                return await ours.states() == ["unknown", "accepted", "accepted"]

            await eventually(others)
            ((ref, state, trouble),) = await credits_in_trouble(ours)
            assert (ref, state) == ("H-1", "unknown")
            assert "cannot be read" in trouble
            assert isinstance(ours.system, Odd)
            ours.system.mended = True
            assert await ours.settled() == ["accepted"] * 3
        assert await credits_in_trouble(ours) == []
        assert await ours.credits() == [10, 20, 30]


async def test_a_call_that_raises_is_like_one_whose_answer_was_lost(new_database: NewDatabase) -> None:
    async with adapter(new_database, "queryable", refs=("H-1", "H-2"), system=Broken) as ours:
        await ours.due(credit("H-1", 10), credit("H-2", 20))
        async with ours.running():
            assert await ours.settled() == ["accepted", "accepted"]
        assert sorted(await ours.receipts()) == [("CreditAccepted", "H-1", 10), ("CreditAccepted", "H-2", 20)]
        assert await ours.credits() == [10, 20]


async def test_an_answer_that_the_database_does_not_keep_is_asked_for_again_and_the_others_are_kept(
    new_database: NewDatabase,
) -> None:
    async with adapter(new_database, refs=("H-1", "H-2")) as ours:
        await ours.pool.execute("ALTER TABLE credit ADD CONSTRAINT odd CHECK (posted_delta <> 13)")
        await ours.due(credit("H-1", 13), credit("H-2", 20))
        async with ours.running():

            async def other() -> bool:
                return await ours.states() == ["unknown", "accepted"]

            await eventually(other)
            ((ref, _, trouble),) = await credits_in_trouble(ours)
            assert (ref, "at odd" in trouble) == ("H-1", True)
            await ours.pool.execute("ALTER TABLE credit DROP CONSTRAINT odd")
            await ours.pool.execute("UPDATE credit SET due_at = now()")
            assert await ours.settled() == ["accepted", "accepted"]
        assert await ours.credits() == [13, 20]


async def test_a_refusal_after_a_call_that_was_given_up_is_not_told_while_that_one_may_still_be_posted(
    new_database: NewDatabase,
) -> None:
    """It was told, the border would let a correction pass, and then the first call was posted."""
    async with adapter(new_database, "idempotent", settles=20, patience=1) as ours:
        await ours.sandbox.misbehave(commit_after_seconds=5, refuse={"reason": "cap", "retry": True, "n": 1})
        first = asyncio.create_task(ours.system.post(at := row(credit("H-1", 50))))

        async def arrived() -> bool:
            return bool((await ours.sandbox.http.get("/misbehave")).json()["commit_after_seconds"] == 0)

        await eventually(arrived, what="the slow call at the registry")
        await ours.due(at.body)
        await ours.pool.execute("UPDATE credit SET state = 'unknown', attempted_at = now()")
        await first
        async with ours.running():
            assert await ours.settled() == ["accepted"]
        assert (await ours.sandbox.http.get("/misbehave")).json()["refuse"] is None, "it refused in between"
        assert await ours.receipts() == [("CreditAccepted", "H-1", 50)]
        assert await ours.credits() == [50]


def row(posted: Any) -> Any:
    return Credit(posted.transfer_id, posted.volunteer_ref, posted, "due", 0, datetime.now(UTC))


async def test_attempts_that_come_during_a_call_are_answered_with_it(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        await ours.sandbox.misbehave(refuse={"reason": "cap", "retry": True, "n": 1})
        ours.system.hold = asyncio.Event()
        await ours.due(credit("H-1", 50))
        async with ours.running():

            async def calling() -> bool:
                return await ours.states() == ["calling"]

            await eventually(calling)
            await ours.pool.execute("UPDATE credit SET asked = '[1, 2]'")
            ours.system.hold.set()
            assert await ours.settled() == ["refused"]
        assert await ours.attempts_named() == [1, 2]
        assert await ours.pool.fetchval("SELECT asked FROM credit") == "[]"


@contextlib.asynccontextmanager
async def passing_on(ours: Adapter, *notices: Notice) -> AsyncIterator[None]:
    async with ours.pool.acquire() as connection:
        await NOTICES.add(connection, notices)
    task = asyncio.create_task(Messenger(ours.pool, ours.system, "sz", lambda: datetime.now(UTC)).session())
    try:
        yield
    finally:
        await cancel_all([task])


async def known(ours: Adapter) -> set[str]:
    return {row[0] for row in await ours.sandbox.rows("SELECT ref FROM volunteer")}


def notice(ref: str) -> Notice:
    return notice_of(own("sz", offered(ref)))


_FAILS = """CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'nobody thought of %', NEW.ref USING ERRCODE = 'internal_error'; END $$;
CREATE TRIGGER fails BEFORE INSERT OR UPDATE ON volunteer FOR EACH ROW WHEN (NEW.ref LIKE 'B-%')
EXECUTE FUNCTION fails()"""


@pytest.mark.parametrize("bad", [1, 20])
async def test_a_notice_that_the_registry_fails_over_stops_only_its_own_key(
    new_database: NewDatabase, bad: int
) -> None:
    async with adapter(new_database, refs=()) as ours:
        refs = [f"H-{number}" for number in range(10, 60)]
        good = [notice(ref) for ref in refs]
        poison = [notice(f"B-{number}") for number in range(bad)]
        behind = replace(notice("H-99"), key="B-0")
        await ours.sandbox.execute(_FAILS)
        async with passing_on(ours, *good[:25], *poison, behind, *good[25:]):

            async def others() -> bool:
                return await known(ours) == set(refs) and len((await troubles(ours)).json()["notices"]) == bad

            await eventually(others)
            seen = (await troubles(ours)).json()["notices"]
            assert {one["message_id"] for one in seen} == {one.message_id for one in poison}
            assert all("answered 500" in one["trouble"] and one["rejected"] is None for one in seen)
            await ours.sandbox.execute("DROP TRIGGER fails ON volunteer")
            await ours.pool.execute("UPDATE notice SET due_at = now()")

            async def all_told() -> bool:
                return bool(await ours.pool.fetchval("SELECT count(*) FROM notice") == 0)

            await eventually(all_told)
        assert await known(ours) >= {"B-0", "H-99"}
        order = await ours.sandbox.rows("SELECT ref FROM sent WHERE ref IN ('B-0', 'H-99') ORDER BY ctid")
        assert [row[0] for row in order] == ["B-0", "H-99"]


async def test_a_registry_that_fails_over_everything_is_left_in_peace_and_told_all_when_it_is_mended(
    new_database: NewDatabase,
) -> None:
    async with adapter(new_database, refs=()) as ours:
        await ours.sandbox.execute("ALTER TABLE inbox RENAME TO elsewhere")
        refs = [f"H-{number}" for number in range(100)]
        async with passing_on(ours, *map(notice, refs)):

            async def failed() -> bool:
                return bool(await ours.pool.fetchval("SELECT count(*) FROM notice WHERE tries > 0") >= 3)

            await eventually(failed)
            assert await ours.pool.fetchval("SELECT count(*) FROM notice WHERE rejected IS NULL") == 100
            await ours.sandbox.execute("ALTER TABLE elsewhere RENAME TO inbox")

            async def all_told() -> bool:
                return await known(ours) == set(refs)

            await eventually(all_told)

            async def all_ticked_off() -> bool:  # a moment after the registry has taken them in
                return bool(await ours.pool.fetchval("SELECT count(*) FROM notice") == 0)

            await eventually(all_ticked_off)


async def test_troubles_are_for_operators(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        assert (await troubles(ours)).json() == {"credits": [], "notices": [], "not_understood": []}
        assert (await troubles(ours, "sz")).status_code == 403
