"""An adapter without its locks: a credit is called once, and neither an attempt nor an answer is overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from contracts.envelope import Event
from contracts.messages.deliveries import CreditPosted
from contracts.messages.receipts import CreditAccepted, CreditRefused
from contracts.topics import service_source
from deploy.operate.registries import CONFIGURED
from services.adapters import rules
from services.adapters.service import build
from services.adapters.settings import AdapterSettings
from services.adapters.states import Credit, Outcome, Posted, Refused
from services.adapters.store import Calls
from services.chassis.base.database import Batch, Pool, open_pool
from tests.support.naming import SECRET
from tests.support.registries import credit, seat
from tests.support.unlocked import Unlocked, overtaken, unlocked

NOW = datetime(2026, 7, 20, tzinfo=UTC)


@pytest.fixture
async def service(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Unlocked]:
    settings = AdapterSettings(profile="test", naming_secret=SECRET, registries=CONFIGURED, registry="sz")
    async with unlocked(monkeypatch, database, build(settings), settings) as made:
        yield made


@pytest.fixture
async def pool(service: Unlocked, database: str) -> AsyncIterator[Pool]:
    made = await open_pool(database, size=2, application="test")
    try:
        yield made
    finally:
        await made.close()


def posted(one: CreditPosted, attempt: int) -> Event:
    return Event(str(uuid4()), service_source("bridge"), NOW, one.model_copy(update={"attempt": attempt}))


def later() -> datetime:
    return datetime(2099, 1, 1, tzinfo=UTC)


settle = partial(rules.after_call, registry=seat("idempotent"), now=NOW)


async def claimed(calls: Calls, *landed: tuple[Credit, Outcome], room: int = 1) -> list[Credit]:
    return await calls.turn(landed, lambda one, outcome: settle(one, outcome), room, (), later())


async def test_two_attempts_that_come_at_once_are_both_remembered(service: Unlocked) -> None:
    one = credit("V-1", 60)
    await service.together([posted(one, 1)], [posted(one, 2)])
    assert sorted(await service.db.fetchval("SELECT asked::text FROM credit")) == sorted("[1, 2]")
    assert await service.db.fetchval("SELECT count(*) FROM credit") == 1


async def test_two_callers_at_once_do_not_both_call(
    service: Unlocked, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.take(0, posted(credit("V-1", 60), 1))
    both = asyncio.Barrier(2)

    async def meet(batch: Batch, names: Iterable[str]) -> set[str]:
        await both.wait()  # each has found it due
        return set()

    monkeypatch.setattr(Batch, "lock", meet)
    calls = Calls(pool, "sz")
    async with asyncio.timeout(120):
        found = await asyncio.gather(claimed(calls), claimed(calls))
    assert sorted(len(one) for one in found) == [0, 1]


async def test_an_attempt_that_comes_while_the_answer_is_kept_does_not_overwrite_it(
    service: Unlocked, pool: Pool
) -> None:
    one, calls = credit("V-1", 60), Calls(pool, "sz")
    await service.take(0, posted(one, 1))
    (called,) = await claimed(calls)
    before = overtaken()
    async with asyncio.timeout(120), service.held_before_saving(0, posted(one, 2)):
        assert await claimed(calls, (called, Posted(60, NOW)), room=0) == []
    assert overtaken() == before + 1
    assert await service.db.fetchval("SELECT state FROM credit") == "accepted"
    assert [receipt.attempt for receipt in await service.told(CreditAccepted)] == [1, 2]


async def test_what_the_ledger_posted_is_not_overwritten_by_another_callers_answer(
    service: Unlocked, pool: Pool
) -> None:
    calls = Calls(pool, "sz")
    await service.take(0, posted(credit("V-1", 60), 1))
    (called,) = await claimed(calls)
    await claimed(calls, (called, Posted(60, NOW)), room=0)
    await claimed(calls, (called, Refused("cap_reached", retry=True)), room=0)
    assert await service.db.fetchval("SELECT state FROM credit") == "accepted"
    assert await service.told(CreditRefused) == []
