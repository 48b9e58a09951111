"""The relay's lead goes on to another when its leader falls silent."""

from __future__ import annotations

import pytest

from services.chassis import relay
from services.chassis.clock import Clock
from services.chassis.relay import Relay
from tests.support.rig import Rig
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
            await eventually(lambda: runtime.relay.leading, 10)
            await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM outbox"))
    finally:
        paused.terminate()
