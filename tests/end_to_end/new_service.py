"""One visit through a whole linkage to which a recipe has added a service: what the new service told, as lines of JSON.
The new service is a process of its own, the rest of the linkage is one.

``python -m tests.end_to_end.new_service NAME`` on a copy of the tree (``test_new_service.py``). The outside checker has
to find every promise kept, and the rows of the new service as the log says they must be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

from deploy.audit import GatherError, World, check, gather
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from tests.support.journey import Visit, acting
from tests.support.waiting import eventually


async def _at_rest(stack: Stack) -> Any:
    """The snapshot, once nothing is on its way. A busy machine may be too slow for one."""
    with contextlib.suppress(GatherError):
        world = await gather(stack.broker.address, stack.dsn)
        under_way = any(row["state"] in ("queued", "sent") for row in world.tables["bridge"]["transfer"])
        return None if under_way or check(world, only=("I16",)).broken else world
    return None


async def _lived(name: str) -> list[str]:
    options = StackOptions(broker="embedded", one_process=True, apart=(name,), settings={"RECEIPT_DUE": "5"})
    async with Stack(options) as stack, acting(stack) as linkage:
        assert stack.process_of(name).name == name, "a process of its own"
        await linkage.serve(Visit("sz", "gz"), 125)
        world: World = await eventually(lambda: _at_rest(stack), every=0.5, what="the end of all traffic")
    report = check(world)
    assert report.held, report.text()
    assert world.tables[name]["consumed"]
    return [(line.value or b"").decode() for line in world.lines[f"{name}.events.v1"]]


if __name__ == "__main__":
    for told in asyncio.run(_lived(sys.argv[1])):
        print(json.dumps(json.loads(told)))
