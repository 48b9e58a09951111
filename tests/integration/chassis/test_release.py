"""A line behind a message whose decision raised: it keeps its order while it is released and more keeps arriving."""

from __future__ import annotations

import asyncio
import json

from tests.support.rig import Rig
from tests.support.tally import credit
from tests.support.waiting import eventually


async def test_a_thousand_behind_one_that_raised_are_applied_in_order_while_more_arrive(rig: Rig) -> None:
    sent = [-1, *range(1, 1001)]
    more = list(range(1001, 1401))
    async with rig.running() as runtime:
        await rig.send(*[credit("raise-line", delta) for delta in sent])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1001 FROM set_aside"), 30)
        assert await rig.aside() == {"raised": 1, "behind": 1000}
        rig.tally.broken = False

        async def keep_sending() -> None:
            for start in range(0, len(more), 25):
                await rig.send(*[credit("raise-line", delta) for delta in more[start : start + 25]])

        sending = asyncio.create_task(keep_sending())
        await rig.db.execute("UPDATE set_aside SET reason = 'ready' WHERE reason = 'raised'")
        runtime.reentry.wake.set()
        await sending
        applied = "SELECT jsonb_array_length(seen) = 1401 FROM total WHERE ref = 'raise-line'"
        await eventually(lambda: rig.db.fetchval(applied), 60)
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    seen = await rig.db.fetchval("SELECT seen FROM total WHERE ref = 'raise-line'")
    assert json.loads(seen) == [*sent, *more]
