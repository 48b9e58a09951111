"""When a run begins and ends, for every form alike: from an assignment that stands to the last event's commit."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from collections.abc import Callable

__all__ = ["Stopwatch"]

_STANDS_SECONDS = 0.5


class Stopwatch:
    """Handlers wait at ``gate`` until the form's partitions are assigned and have stayed so for half a second."""

    def __init__(self, events: int) -> None:
        self.gate = asyncio.Event()
        self.done = asyncio.Event()
        self._events = events
        self._seen = 0
        self._began = self._ended = 0.0
        self._cpu = 0.0

    def count(self, events: int) -> None:
        """So many more are committed."""
        self._seen += events
        if self._seen >= self._events and not self.done.is_set():
            self._ended = time.perf_counter()
            self._cpu += time.process_time()
            self.done.set()

    async def open_when(self, assigned: Callable[[], bool]) -> None:
        """Open the gate once ``assigned`` has held for long enough, and start the clock."""
        since = None
        while since is None or time.monotonic() - since < _STANDS_SECONDS:
            since = (since or time.monotonic()) if assigned() else None
            await asyncio.sleep(0.02)
        gc.collect()
        gc.freeze()
        self._began, self._cpu = time.perf_counter(), -time.process_time()
        self.gate.set()

    def report(self) -> str:
        """One line of JSON for the parent."""
        assert self.done.is_set(), "the clock still runs"
        return json.dumps(
            {"events": self._seen, "seconds": self._ended - self._began, "cpu_seconds": self._cpu, "pid": os.getpid()}
        )
