"""Credits on their way through the adapter's caller into a real registry of the kind rest_api, and what gets lost."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.registry import Capability
from services.adapters.states import Credit
from services.adapters.store import CREDITS, NOTICES
from services.adapters.worker import Caller, Messenger
from tests.conftest import NewDatabase
from tests.support.adapters import adapter, notice_of
from tests.support.registries import credit, offered, own, requested, seat
from tests.support.waiting import eventually


async def test_two_thousand_credits_arrive_within_seconds_one_at_a_time_per_volunteer(
    new_database: NewDatabase,
) -> None:
    refs = [f"H-{number}" for number in range(200)]
    async with adapter(new_database, refs=refs) as ours:
        posted = [credit(ref, number + 1) for number in range(10) for ref in refs]
        await ours.due(*posted)
        async with ours.running():
            await ours.settled()
        assert Counter(await ours.credits()) == Counter(number + 1 for number in range(10) for _ in refs)
        assert ours.system.most_at_once > 8
        order: dict[str, list[object]] = {}
        for _, ref, delta in await ours.receipts():
            order.setdefault(ref, []).append(delta)
        assert set(map(tuple, order.values())) == {tuple(range(1, 11))}


@pytest.mark.parametrize(
    ("capability", "state", "receipt", "posts"),
    [
        ("idempotent", "accepted", ("CreditAccepted", "H-1", 50), 2),
        ("queryable", "accepted", ("CreditAccepted", "H-1", 50), 1),
        ("neither", "uncertain", ("CreditUnknown", "H-1", None), 1),
    ],
)
async def test_a_credit_that_was_posted_but_whose_answer_was_lost_is_posted_once(
    new_database: NewDatabase, capability: Capability, state: str, receipt: tuple[str, str, object], posts: int
) -> None:
    async with adapter(new_database, capability, patience=1) as ours:
        await ours.sandbox.misbehave(commit_and_lose_answer=1)
        await ours.due(posted := credit("H-1", 50))
        async with ours.running():
            assert await ours.settled() == [state]
        assert await ours.receipts() == [receipt]
        assert ours.system.posts[posted.transfer_id] == posts
        assert await ours.credits() == [50]


@pytest.mark.parametrize(
    ("capability", "receipt", "minutes"),
    [
        ("idempotent", ("CreditAccepted", "H-1", 50), [50]),
        ("queryable", ("CreditAccepted", "H-1", 50), [50]),
        ("neither", ("CreditUnknown", "H-1", None), []),
    ],
)
async def test_an_attempt_that_never_left_before_a_crash_is_made_or_called_uncertain(
    new_database: NewDatabase, capability: Capability, receipt: tuple[str, str, object], minutes: list[int]
) -> None:
    async with adapter(new_database, capability) as ours:
        await ours.due(credit("H-1", 50), state="calling")
        async with ours.running():
            await ours.settled()
        assert await ours.receipts() == [receipt]
        assert await ours.credits() == minutes


@pytest.mark.parametrize("capability", ["idempotent", "queryable", "neither"])
async def test_a_crash_between_the_call_and_saving_its_answer_posts_once(
    new_database: NewDatabase, capability: Capability
) -> None:
    async with adapter(new_database, capability) as ours:
        ours.system.hold = asyncio.Event()
        await ours.due(credit("H-1", 50))
        async with ours.running():

            async def posted() -> bool:
                return await ours.credits() == [50]

            await eventually(posted, what="posted, not saved")
        assert await ours.states() == ["calling"]
        assert await ours.receipts() == []
        ours.system.hold = None
        async with ours.running():
            await ours.settled()
        kind = "CreditUnknown" if capability == "neither" else "CreditAccepted"
        assert [one[0] for one in await ours.receipts()] == [kind]
        assert await ours.credits() == [50]


@pytest.mark.parametrize("crashes", [False, True])
async def test_a_credit_posted_long_after_its_call_was_given_up_stands_once(
    new_database: NewDatabase, *, crashes: bool
) -> None:
    async with adapter(new_database, "queryable", settles=5, patience=1) as ours:
        await ours.sandbox.misbehave(commit_after_seconds=2)
        await ours.due(posted := credit("H-1", 50))
        if crashes:
            async with ours.running():

                async def arrived() -> bool:
                    left = (await ours.sandbox.http.get("/misbehave")).json()
                    return bool(left["commit_after_seconds"] == 0)

                await eventually(arrived, what="the call at the registry")
        async with ours.running():
            assert await ours.settled() == ["accepted"]
        assert ours.system.posts[posted.transfer_id] == 1
        assert ours.system.asks[posted.transfer_id] > 1, "it was never asked too early"
        assert await ours.receipts() == [("CreditAccepted", "H-1", 50)]
        assert await ours.credits() == [50]


async def test_a_credit_that_never_arrived_is_posted_once_nothing_can_be_under_way(new_database: NewDatabase) -> None:
    async with adapter(new_database, "queryable", settles=1.5) as ours:
        begun = datetime.now(UTC)
        await ours.due(credit("H-1", 50), state="calling")
        async with ours.running():
            assert await ours.settled() == ["accepted"]
        ((at,),) = await ours.sandbox.rows("SELECT at FROM posting")
        assert at - begun >= timedelta(seconds=1.5)


async def test_where_nobody_can_be_asked_a_closed_door_leaves_credits_uncertain(new_database: NewDatabase) -> None:
    async with adapter(new_database, "neither") as ours:
        await ours.sandbox.misbehave(down_for_seconds=600)
        await ours.due(credit("H-1", 50))
        async with ours.running():
            assert await ours.settled() == ["uncertain"]
        assert await ours.receipts() == [("CreditUnknown", "H-1", None)]


async def test_while_the_registry_is_down_everything_waits_and_nothing_is_said(new_database: NewDatabase) -> None:
    async with adapter(new_database, "idempotent") as ours:
        await ours.sandbox.misbehave(down_for_seconds=600)
        posted = [credit("H-1", number) for number in (10, 20)]
        await ours.due(*posted)
        async with ours.running():

            async def tried_often() -> bool:
                return ours.system.posts[posted[0].transfer_id] >= 3

            await eventually(tried_often)
            assert await ours.receipts() == []
            await ours.sandbox.misbehave(down_for_seconds=0)
            assert await ours.settled() == ["accepted", "accepted"]
        assert [one[2] for one in await ours.receipts()] == [10, 20]
        assert await ours.credits() == [10, 20]


async def test_two_answers_become_two_receipts_and_a_refusal_keeps_its_reason(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        await ours.sandbox.misbehave(answer_twice=1, refuse={"reason": "daily_cap", "retry": True, "n": 1})
        await ours.due(credit("H-1", 10), credit("H-1", 20))
        async with ours.running():
            assert await ours.settled() == ["refused", "accepted"]
        assert await ours.receipts() == [
            ("CreditRefused", "H-1", "daily_cap"),
            ("CreditAccepted", "H-1", 20),
            ("CreditAccepted", "H-1", 20),
        ]


async def test_a_question_about_a_transfer_nobody_saw_is_put_to_the_registry(new_database: NewDatabase) -> None:
    async with adapter(new_database, "queryable") as ours:
        seen, unseen = credit("H-1", 50), uuid.uuid4()
        await ours.system.post(Credit(seen.transfer_id, "H-1", seen, "due", 0, datetime.now(UTC)))
        questions = [
            Credit(number, "H-1", None, "unknown", 0, datetime.now(UTC)) for number in (seen.transfer_id, unseen)
        ]
        async with ours.pool.acquire() as connection:
            await CREDITS.add(connection, questions)
        async with ours.running():
            assert await ours.settled() == ["accepted", "uncertain"]
        assert await ours.receipts() == [("CreditAccepted", "H-1", 50), ("CreditUnknown", "H-1", None)]


async def test_there_is_one_caller_however_many_processes(new_database: NewDatabase) -> None:
    async with adapter(new_database, "neither") as ours:
        ours.system.hold = asyncio.Event()
        second = Caller(ours.pool, ours.system, seat("neither"), lambda: datetime.now(UTC))
        await ours.due(credit("H-1", 50))
        async with ours.running():

            async def calling() -> bool:
                return await ours.states() == ["calling"]

            await eventually(calling)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(second.session(), 1)
            assert await ours.states() == ["calling"]
            ours.system.hold.set()
            assert await ours.settled() == ["accepted"]


async def test_notices_wait_for_the_registry_and_one_it_cannot_read_stays_with_its_reason(
    new_database: NewDatabase,
) -> None:
    async with adapter(new_database, refs=()) as ours:
        await ours.sandbox.misbehave(down_for_seconds=600)
        good, bad = notice_of(own("sz", offered("H-5"))), notice_of(own("sz", requested("V-5")))
        bad = replace(bad, body={name: value for name, value in bad.body.items() if name != "volunteer_ref"})
        async with ours.pool.acquire() as connection:
            await NOTICES.add(connection, [bad, good])
        messenger = Messenger(ours.pool, ours.system, "sz", lambda: datetime.now(UTC))
        task = asyncio.create_task(messenger.session())
        try:

            async def open_notices() -> int:
                found = await ours.pool.fetchval("SELECT count(*) FROM notice WHERE rejected IS NULL")
                return int(found)

            assert await open_notices() == 2
            await ours.sandbox.misbehave(down_for_seconds=0)

            async def passed_on() -> bool:
                return await open_notices() == 0

            await eventually(passed_on)
        finally:
            task.cancel()
        (left,) = await ours.pool.fetch("SELECT message_id, rejected FROM notice")
        assert left["message_id"] == bad.message_id
        assert "ref" in left["rejected"]
        assert await ours.sandbox.rows("SELECT ref FROM volunteer") == [("H-5",)]
