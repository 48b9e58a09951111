"""A service that is told to stop while its database does not answer."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from services.chassis.runtime import Runtime
from tests.support.database_line import line_to
from tests.support.rig import Rig
from tests.support.waiting import eventually


async def test_a_service_ends_soon_though_its_database_has_stopped_answering(rig: Rig) -> None:
    """A cancellation was lost in the error of the database, or waited for its answer, and the service stayed."""
    async with line_to(rig.settings.database.get_secret_value()) as line:
        runtime = Runtime(rig.tally.service(), rig.settings.model_copy(update={"database": SecretStr(line.dsn)}))
        task = asyncio.create_task(runtime.run())

        async def ready() -> bool:
            return bool((await runtime.health())["ready"])

        await eventually(ready, 60)
        line.stopped.set()
        runtime.stopping.set()
        await asyncio.wait_for(task, 20)
