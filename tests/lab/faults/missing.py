"""A topic that is gone: what goes elsewhere goes on, whoever writes there says so, and the topics job heals it."""

from __future__ import annotations

import random
import time
from typing import Final

from contracts.topics import BRIDGE_EVENTS
from deploy.operate.topics import ensure_topics
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.groups import admin
from tests.lab.faults.load import waves
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.waiting import eventually

__all__ = ["missing_cells"]

_TOPIC: Final = BRIDGE_EVENTS
"""The bridge tells every change of a transfer there; nobody of the journey reads it."""


def missing_cells() -> list[Cell]:
    """One cell. What the topic held is lost with it, so the checker cannot replay it afterwards."""
    fault = f"{_TOPIC.name} is deleted while credits flow, and made again"
    return [Cell("missing-topic", "bridge", fault, _missing, leaves="cut", takes=20)]


async def _missing(site: Site, rng: random.Random) -> Outcome:
    stories = plan(rng, 24)
    before, during, after = waves(stories, 3)
    await site.publish(before)
    await site.drained()
    async with admin(site.stack.broker.address) as client:
        await client.delete_topics([_TOPIC.name])
        await site.publish(during)
        # All is under way to its end but what would go to the topic that is gone.
        await site.quiet.until(
            lambda look: all(not n for place, n in look.work.items() if place != ("bridge", "outbox"))
        )
        stuck = await _unsent(site)
        says = await _said(site)
        still_gone = _TOPIC.name not in await client.list_topics()
    await ensure_topics(site.stack.broker.address, [_TOPIC])
    begun = time.monotonic()
    await site.publish(after)
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(stories)
    checks |= {
        "only_rows_of_that_topic_stood": set(stuck) == {_TOPIC.name},
        "nobody_made_it_by_writing": still_gone,
        "health_named_it": _TOPIC.name in says,
        "all_say_ready": await site.all_ready(),
    }
    return Outcome(checks, recovered, [f"unsent meanwhile: {stuck}", says[:200], *notes])


async def _unsent(site: Site) -> dict[str, int]:
    rows = await site.books.fetch("bridge", "SELECT topic, count(*) FROM outbox GROUP BY topic")
    return {row[0]: row[1] for row in rows}


async def _said(site: Site) -> str:
    """What the bridge says of itself, once it says that it is not ready."""

    async def asked() -> str:
        health = await site.health("bridge")
        return "" if health.get("ready", True) else str(health)

    return str(await eventually(asked, every=0.2, what="the bridge says that something is not sent"))
