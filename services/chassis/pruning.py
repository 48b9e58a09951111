"""What every service forgets: rows of the chassis that were needed once, and that nothing asks for any more.

Not forgotten: first sightings (``inbox``), without which a log that is read again would be applied again; what an
operator discarded; and what a later life of the database said that this one has not said. Timers need no pruning: one
that fires or is cancelled is gone.
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import Final

from services.chassis.database import forget_names
from services.chassis.restoring import said
from services.chassis.schedule import Job, Run

__all__ = ["JOBS"]

_AT_ONCE: Final = 10_000
_UNUSED: Final = timedelta(days=30)
"""A name that is locked again is made again, which costs more than finding it: most are spoken of for weeks."""
_REPLAYED: Final = timedelta(days=14)
"""As long as logs with an end are kept: until then somebody may want to see what a replay was made from."""


async def _forget(run: Run) -> bool:
    """Names without anything parked; and what replays of this database were made from."""
    names = await forget_names(run.db, run.now - _UNUSED, _AT_ONCE)
    rows = await said.forget(run.db, run.now - _REPLAYED, _AT_ONCE)
    return names == _AT_ONCE or rows == _AT_ONCE


JOBS: Final = (Job("chassis.prune", _forget, at=time(3, 30), each=False),)
"""At night, when the least is done. Missed nights need no run of their own."""
