"""A service that is told to stop while its database does not answer, and one that has to stop by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from services.chassis.base.faults import Stopped
from services.chassis.process.runtime import Runtime
from tests.support.database_line import line_to
from tests.support.rig import Rig, first_lane
from tests.support.waiting import eventually


async def test_a_service_ends_soon_though_its_database_has_stopped_answering(rig: Rig) -> None:
    """A cancellation was lost in the error of the database, or waited for its answer, and the service stayed."""
    async with line_to(rig.settings.database.get_secret_value()) as line:
        runtime = Runtime(rig.tally.service(), rig.settings.model_copy(update={"database": SecretStr(line.dsn)}))
        task = asyncio.create_task(runtime.run())

        async def ready() -> bool:
            return bool((await runtime.health())["ready"])

        await eventually(ready)
        line.stopped.set()
        runtime.stopping.set()
        await asyncio.wait_for(task, 20)


async def test_a_service_whose_client_has_ended_its_reading_stops_and_says_why(rig: Rig) -> None:
    """Seen with a client whose reading had died: ready, with a lag of 0 beside ten messages, for ever."""

    def raising(_: Any) -> Any:
        raise KeyError("as asked")

    runtime = Runtime(rig.tally.service(), rig.settings)
    task = asyncio.create_task(runtime.run())
    lane = await first_lane(runtime)
    lane.consumer._fetcher._get_actions_per_node = raising
    with pytest.raises(Stopped, match="no longer read"):
        await task
