"""Publishing that is broken off: whoever waits for it hears of it, and nobody else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from contracts.topics import INBOUND
from deploy.operate.lines import check
from deploy.operate.publishing import Publisher
from deploy.operate.topics import ensure_topics
from deploy.tryout.demo.play import WEEKEND
from deploy.tryout.local.broker import Broker


async def test_ctrl_c_at_any_step_of_publishing_leaves_nothing_that_the_loop_would_write_on_the_terminal(
    broker: Broker, unique: Callable[[str], str]
) -> None:
    code = "r" + unique("s")[-7:]
    text = WEEKEND.read_text("utf-8").replace("urn:shuangcheng:registry:gz", f"urn:shuangcheng:registry:{code}")
    letters, _ = check(line.encode() for line in text.splitlines() if f"registry:{code}" in line)
    await ensure_topics(broker.address, [entry.of(code) for entry in INBOUND])
    loop = asyncio.get_running_loop()
    said: list[dict[str, Any]] = []
    async with Publisher(broker.address) as publisher:
        assert await publisher.publish(letters) == len(letters)
        loop.set_exception_handler(lambda _, context: said.append(context))
        try:
            for steps in range(1, 30):
                publishing = asyncio.create_task(publisher.publish(letters))
                for _ in range(steps):
                    await asyncio.sleep(0)
                publishing.cancel()
                with suppress(asyncio.CancelledError):
                    await publishing
                del publishing
                gc.collect()
        finally:
            loop.set_exception_handler(None)
    assert said == []
