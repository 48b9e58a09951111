"""What health and metrics say is what is, at the moment of asking: no lane stands beside a "ready", no figure stays."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from pydantic import SecretStr

from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.chassis.process import health
from tests.support.database_line import line_to
from tests.support.refusing import let_in, refusing
from tests.support.rig import Rig, first_lane, http, release_raised
from tests.support.tally import credit
from tests.support.waiting import eventually


async def _says(client: httpx.AsyncClient, *words: str) -> dict[str, Any] | None:
    """What it says of its health, once it is not ready for a reason with these words."""
    answer = await client.get("/health/ready")
    told: dict[str, Any] = answer.json()
    assert told["ready"] is (answer.status_code == 200)
    return told if any(all(word in why for word in words) for why in told["why"]) else None


async def _ready(client: httpx.AsyncClient) -> bool:
    answer = await client.get("/health/ready")
    return bool(answer.json()["ready"] and not answer.json()["why"])


async def _figure(client: httpx.AsyncClient, line: str) -> float | None:
    text = (await client.get("/metrics")).text
    found = re.search(rf"^shuangcheng_{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


async def test_a_lane_that_applies_nothing_on_a_full_disk_is_not_ready_and_its_lag_is_told(rig: Rig) -> None:
    """Seen by hand: ready, database ok, lag 0 in the metrics beside 161, and 32 lines of one error in the log."""
    lag, stands = f'lag_messages{{group="{rig.tally.group}"}}', f'stands_seconds{{part="{rig.tally.group}"}}'
    async with rig.running() as runtime, http(runtime.settings.http_port, None) as client:
        await rig.send(credit("v", 1))
        await eventually(lambda: rig.total("v"))
        await eventually(lambda: _ready(client))
        assert await _figure(client, lag) == 0
        await refusing(rig.db, "total", "53100")
        await rig.send(*(credit(f"v{number}", 1) for number in range(30)))
        told = await eventually(lambda: _says(client, rig.tally.group, "DiskFullError 53100"))
        assert told["database"] == "ok", "it answers"
        await eventually(lambda: _figure_is(client, lag, 30))
        assert (await _figure(client, stands) or 0) >= health.GRACE
        assert await _figure(client, "ready") == 0
        assert (await _figure(client, 'failures_total{class="transient"}') or 0) > 0
        await let_in(rig.db, "total")
        await eventually(lambda: _ready(client))
        assert (await _figure(client, lag), await _figure(client, stands)) == (0, 0)
        assert await _figure(client, "ready") == 1
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 31


async def _figure_is(client: httpx.AsyncClient, line: str, value: float) -> bool:
    return await _figure(client, line) == value


async def test_a_lane_that_hangs_without_an_error_is_not_ready_after_a_while(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.5)
    async with rig.running() as runtime, http(runtime.settings.http_port, None) as client:
        lane = await first_lane(runtime)
        await eventually(lambda: _ready(client))
        gate = asyncio.Event()
        connected = lane._connected

        async def hanging() -> Any:
            await gate.wait()
            return await connected()

        monkeypatch.setattr(lane, "_connected", hanging)
        await rig.send(credit("v", 1))
        await eventually(lambda: _says(client, rig.tally.group, "has not moved", "1 messages behind"))
        gate.set()
        await eventually(lambda: _ready(client))


async def test_the_number_of_messages_set_aside_falls_to_nothing_when_they_are_gone(rig: Rig) -> None:
    """Seen by hand: waiting 6 and behind 9 for minutes, beside none in the table."""
    raised, behind = 'set_aside_rows{reason="raised"}', 'set_aside_rows{reason="behind"}'
    async with rig.running() as runtime, http(runtime.settings.http_port, None) as client:
        await rig.send(credit("raise-v", -1), credit("raise-v", 5))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside"))
        assert (await _figure(client, raised), await _figure(client, behind)) == (1, 1)
        rig.tally.broken = False
        await release_raised(runtime.settings.http_port)
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
        assert (await _figure(client, raised), await _figure(client, behind)) == (0, 0)


async def test_a_way_back_in_that_stands_is_no_ready_service(rig: Rig) -> None:
    async with rig.running(await_facts=60) as runtime, http(runtime.settings.http_port, None) as client:
        await rig.send(credit("wait-x-1", 1))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside WHERE reason = 'waiting'"))
        await refusing(rig.db, "total", "53100", "NEW.ref LIKE 'wait-%'")
        await rig.send(credit("fact-x", 1))
        await eventually(lambda: _says(client, "re-entry stands", "DiskFullError"))
        await let_in(rig.db, "total")
        await eventually(lambda: rig.total("wait-x-1"))
        await eventually(lambda: _ready(client))


async def test_of_a_database_that_does_not_answer_no_old_figures_are_told(rig: Rig) -> None:
    async with (
        line_to(rig.settings.database.get_secret_value()) as line,
        rig.running(database=SecretStr(line.dsn)) as runtime,
        http(runtime.settings.http_port, None) as client,
    ):
        client.timeout = httpx.Timeout(60)
        await eventually(lambda: _ready(client))
        assert await _figure(client, "outbox_rows") == 0
        line.stopped.set()
        await eventually(lambda: _says(client, "database does not answer"))
        assert await _figure(client, "outbox_rows") is None
        assert await _figure(client, "database_answers") == 0
        assert await _figure(client, "ready") == 0


async def test_whoever_asks_while_a_service_stops_gets_an_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by hand: a bare 500 for what was under way, whose pool of connections had gone."""
    gate, came = asyncio.Event(), asyncio.Event()

    def api(reads: Reads, _: Settings) -> APIRouter:
        router = APIRouter()

        @router.get("/soon")
        async def soon() -> int:
            came.set()
            await gate.wait()
            return int(await reads.pool.fetchval("SELECT 7"))

        @router.get("/never")
        async def never() -> None:
            await asyncio.Event().wait()

        return router

    service = dataclasses.replace(rig.tally.service(), api=api)
    monkeypatch.setattr(rig.tally, "service", lambda: service)
    async with rig.running() as runtime, http(runtime.settings.http_port) as client:
        await eventually(lambda: _ready(client))
        soon, never = asyncio.create_task(client.get("/soon")), asyncio.create_task(client.get("/never"))
        await came.wait()
        runtime.stopping.set()
        late = await client.get("/soon")
        assert (late.status_code, late.json()["error"]) == (503, "stopping")
        gate.set()
        assert ((await soon).status_code, (await soon).json()) == (200, 7)
        assert ((await never).status_code, (await never).json()["error"]) == (503, "stopping")
