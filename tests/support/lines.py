"""Lines of people who wait for a post, and their end."""

from __future__ import annotations

from deploy.tryout.local.stack import Stack
from tests.support.waiting import eventually

__all__ = ["end_lines"]


async def end_lines(stack: Stack) -> bool:
    """Make the end of each line due now. False if there was no line."""
    async with stack.postgres.connection("opportunities") as opportunities:
        if await opportunities.execute("UPDATE timer SET due = now() WHERE name LIKE 'line:%'") == "UPDATE 0":
            return False
        await eventually(lambda: opportunities.fetchval("SELECT count(*) = 0 FROM timer"), what="no line any more")
    return True
