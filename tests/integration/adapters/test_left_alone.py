"""A home that asks to be left alone for a while (429 with Retry-After) is left alone so long, by everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.adapters.kinds.asked import Quiet
from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.kinds.systems import SystemAway
from services.adapters.worker import Caller
from tests.conftest import NewDatabase
from tests.support.adapters import OURS, Adapter, adapter, notice_of
from tests.support.registries import credit, own, requested, seat
from tests.support.waiting import eventually


async def _misbehaviour(ours: Adapter) -> dict[str, Any]:
    found: dict[str, Any] = (await ours.sandbox.http.get("/misbehave")).json()
    return found


async def test_a_credit_is_posted_once_the_time_is_over_that_its_home_asked_for(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        await ours.sandbox.misbehave(leave_alone_seconds=2)
        await ours.due(posted := credit("H-1", 50))
        async with ours.running():
            assert await ours.settled() == ["accepted"]
        assert (await _misbehaviour(ours))["came_too_early"] == 0
        assert ours.system.posts[posted.transfer_id] == 2
        assert await ours.credits() == [50]


async def test_who_starts_anew_keeps_to_what_the_home_asked_for(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        await ours.sandbox.misbehave(leave_alone_seconds=600)
        await ours.due(posted := credit("H-1", 50))
        async with ours.running():
            await eventually(lambda: ours.pool.fetchval("SELECT due_at > now() + interval '500 seconds' FROM credit"))
        [due_at] = [row[0] for row in await ours.pool.fetch("SELECT due_at FROM credit")]
        moment = due_at - timedelta(seconds=1)
        client = RestApi(ours.sandbox.url, credentials=OURS)
        ours.caller = Caller(ours.pool, client, seat("idempotent", settles=0.5), lambda: moment)
        async with ours.running():
            await ours.due(credit("H-2", 10))
            await eventually(lambda: ours.pool.fetchval("SELECT bool_or(state = 'refused') FROM credit"))
            assert ours.system.posts[posted.transfer_id] == 1
            moment = due_at + timedelta(seconds=1)
            await eventually(lambda: ours.pool.fetchval("SELECT bool_or(state = 'accepted') FROM credit"))
        await client.close()
        assert await ours.credits() == [50]


async def test_what_one_caller_was_asked_for_binds_the_others_of_the_same_system(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        quiet = Quiet()
        messenger, listener = (RestApi(ours.sandbox.url, "sz", quiet, OURS) for _ in range(2))
        await ours.sandbox.misbehave(leave_alone_seconds=600)
        try:
            with pytest.raises(SystemAway) as told:
                await messenger.tell([notice_of(own("sz", requested("H-1")))])
            assert told.value.seconds == 600
            with pytest.raises(SystemAway) as heard:
                await listener.listen(0)
            assert 500 < heard.value.seconds <= 600
            assert (await _misbehaviour(ours))["came_too_early"] == 0
        finally:
            await messenger.close()
            await listener.close()
