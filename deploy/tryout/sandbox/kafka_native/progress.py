"""How far this registry has read its topics, and how much it has not published yet."""

from __future__ import annotations

import json
from typing import Any, Final

from deploy.tryout.sandbox.database import Pool

__all__ = ["progress"]

# One statement, so that both figures are of one moment.
_PROGRESS: Final = """
SELECT (SELECT count(*) FROM outbox) AS outbox,
       (SELECT coalesce(json_agg(json_build_array(topic, partition, next_offset)), '[]') FROM position) AS positions
"""


async def progress(pool: Pool) -> dict[str, Any]:
    """``outbox``: messages that are not published yet. ``positions``: topic, partition, next offset."""
    row = await pool.fetchrow(_PROGRESS)
    assert row is not None
    return {"outbox": row["outbox"], "positions": json.loads(row["positions"])}
