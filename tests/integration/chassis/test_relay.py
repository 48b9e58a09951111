"""The relay's lead goes on to another when its leader falls silent."""

from __future__ import annotations

import httpx
import pytest

from services.chassis.base.clock import Clock
from services.chassis.outgoing import relay
from services.chassis.outgoing.relay import Relay
from services.chassis.process import health
from tests.support.rig import Rig, http
from tests.support.tally import credit
from tests.support.waiting import eventually


async def test_a_leader_of_the_relay_that_was_paused_does_not_hold_up_the_others_for_ever(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen under the fault matrix: beside a stopped leader nothing was published until it went on."""
    monkeypatch.setattr(relay, "_SILENCE_SECONDS", 2.0)
    paused = await Relay(rig.settings, "tally", Clock())._connect()
    try:
        assert await paused.fetchval("SELECT pg_try_advisory_lock($1)", relay._LEADER)
        async with rig.running() as runtime:
            await rig.send(credit("v", 1))
            await eventually(lambda: rig.total("v"))
            await eventually(lambda: runtime.relay.leading)
            await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))
    finally:
        paused.terminate()


@pytest.mark.parametrize(
    ("hanging", "role"),
    [
        (f"SELECT pg_advisory_xact_lock({relay._LEADER})", "standing by"),
        ("LOCK TABLE timer IN ACCESS EXCLUSIVE MODE", "leading"),
    ],
)
async def test_a_relay_that_nothing_leaves_is_not_ready_after_a_while(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, hanging: str, role: str
) -> None:
    """Seen with the relay's session stopped: ready for 90 s, with a row in the outbox that nobody sent."""
    monkeypatch.setattr(health, "PATIENCE", 2.0)

    async def why(client: httpx.AsyncClient) -> list[str]:
        told = (await client.get("/health/ready")).json()
        return list(told["why"])

    async with rig.running() as runtime, http(runtime.settings.http_port, None) as client:
        if role == "leading":
            await eventually(lambda: runtime.relay.leading)
        async with rig.db.transaction():
            await rig.db.execute(hanging)
            await rig.send(credit("v", 1))
            await eventually(lambda: rig.total("v"))
            told = await eventually(lambda: why(client))
            assert all(word in told[0] for word in ("relay has not moved for", role))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))

        async def ready() -> bool:
            return not await why(client)

        await eventually(ready)
