"""Ready means that it can do its work now: the broker is asked, not what its clients last knew of it."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from typing import Any

import httpx
import pytest

from deploy.tryout.local.broker import Broker
from tests.support.rig import Rig, http
from tests.support.tally import credit
from tests.support.waiting import eventually


async def _ready(client: httpx.AsyncClient, status: int) -> dict[str, Any] | None:
    answer = await client.get("/health/ready")
    told: dict[str, Any] = answer.json()
    return told if answer.status_code == status else None


async def _broker_gone(client: httpx.AsyncClient) -> dict[str, Any] | None:
    told = await _ready(client, 503)
    return told if told and told["broker"] is False else None


async def test_a_service_is_not_ready_while_its_broker_stands_still_and_is_again_afterwards(
    rig: Rig, broker: Broker
) -> None:
    """Found in review: an idle service said that it was ready for as long as nobody sent anything."""
    if broker.pid is None:
        pytest.skip("a broker at an address of somebody else's is not stopped")
    async with rig.running() as runtime, http(runtime.settings.http_port, None) as client:
        assert (await eventually(partial(_ready, client, 200)))["broker"] is True
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            told = await eventually(partial(_broker_gone, client))
            assert told["database"] == "ok"
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert (await eventually(partial(_ready, client, 200)))["broker"] is True
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.total("v"))


async def test_the_broker_is_asked_once_for_many_who_ask_whether_the_service_is_ready(rig: Rig) -> None:
    async with rig.running() as runtime, http(runtime.settings.http_port, None) as client:
        await eventually(partial(_ready, client, 200))
        asked: list[int] = []
        ask = runtime.probe._ask

        async def counted() -> bool:
            asked.append(1)
            return await ask()

        runtime.probe._ask = counted  # type: ignore[method-assign]
        runtime.probe._asked_at = float("-inf")
        assert all(await asyncio.gather(*(_ready(client, 200) for _ in range(20))))
    assert len(asked) == 1
