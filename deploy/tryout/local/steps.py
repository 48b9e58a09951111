"""Steps of a launch that are made at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from deploy.operate.errors import LocalError

__all__ = ["together", "tried"]


async def together(*steps: Awaitable[object]) -> None:
    """Run steps at the same time. The first error ends the other steps, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(_run(step))
    except BaseExceptionGroup as errors:
        raise (errors.subgroup(LocalError) or errors).exceptions[0] from None


async def tried(steps: Iterable[Awaitable[object]]) -> list[object]:
    """Run steps at the same time, all of them to their ends. Gives their results and errors."""
    return list(await asyncio.gather(*steps, return_exceptions=True))


async def _run(step: Awaitable[object]) -> None:
    await step
