"""Records the small run of the checker's own tests: ``python -m tests.support.checker.recording FILE``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from deploy.audit.report import check
from deploy.audit.world import World
from deploy.tryout.local.stack import Stack
from tests.support.checker.planted import Faults
from tests.support.checker.planted_minutes import FAULTS as OF_MINUTES
from tests.support.checker.planted_rest import FAULTS as OF_THE_REST
from tests.support.checker.planted_rows import FAULTS as OF_ROWS
from tests.support.checker.planted_told import FAULTS as OF_WHAT_IS_TOLD
from tests.support.checker.planted_traces import FAULTS as OF_TRACES
from tests.support.checker.scenario import CANARY, options, run
from tests.support.checker.tampering import Tamper

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = OF_MINUTES | OF_WHAT_IS_TOLD | OF_ROWS | OF_TRACES | OF_THE_REST
"""All faults that can be planted in the run, by name."""


async def _record() -> World:
    async with Stack(options(), progress=print) as stack:
        return await run(stack)


def _plantable(recorded: World) -> bool:
    """Whether each fault can be planted. Two faults need two volunteers in one partition, and the persons of each run
    are new."""
    try:
        for _, fault in FAULTS.values():
            fault(Tamper(recorded))
    except StopIteration:
        return False
    return True


if __name__ == "__main__":
    while not _plantable(recorded := asyncio.run(_record())):
        print("recording again: two faults need two volunteers in one partition")
    recorded.save(Path(sys.argv[1]))
    print(check(recorded, canaries=[CANARY]).text())
