"""The chassis' own job: it deletes rows of the chassis that nothing reads any more.

It keeps first sightings (``inbox``), without which a log that is read again would be applied again; messages that an
operator discarded; and messages of a later life of the database that this life has not sent. A timer that fires or is
cancelled is deleted at once.
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import Final

from services.chassis.base.database import forget_names
from services.chassis.outgoing import said
from services.chassis.schedule import Job, Run

__all__ = ["JOBS"]

_AT_ONCE: Final = 10_000
_UNUSED: Final = timedelta(days=30)
"""Age of names that are deleted. To make a name again costs more than to find it, and most names are used for weeks."""
_REPLAYED: Final = timedelta(days=14)
"""As long as topics with a limit keep messages: until then somebody may want to see the source of a replay."""


async def _forget(run: Run) -> bool:
    """Names that are not parked, and the sources of replays of this database."""
    names = await forget_names(run.db, run.now - _UNUSED, _AT_ONCE)
    rows = await said.forget(run.db, run.now - _REPLAYED, _AT_ONCE)
    return names == _AT_ONCE or rows == _AT_ONCE


JOBS: Final = (Job("chassis.prune", _forget, at=time(3, 30), each=False),)
"""At night, when the least is done. Missed nights need no run of their own."""
