"""When a run begins and ends, for every form alike: from an assignment that stands to the last event's commit."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

__all__ = ["Stopwatch"]

_STANDS_SECONDS = 0.5


class Stopwatch:
    """Handlers wait at ``gate`` until the form's partitions are assigned and have stayed so for half a second."""

    def __init__(self, events: int) -> None:
        self.gate = asyncio.Event()
        self.done = asyncio.Event()
        self._failure: BaseException | None = None
        self._events = events
        self._seen = 0
        self._began = self._ended = 0.0
        self._cpu = 0.0

    def count(self, events: int) -> None:
        """So many more are committed."""
        self._seen += events
        if self._seen >= self._events and not self.done.is_set():
            self._ended = time.monotonic()
            self._cpu += time.process_time()
            self.done.set()

    def fail(self, error: BaseException) -> None:
        """End the run: this form cannot apply its events."""
        self._failure = self._failure or error
        self.done.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """End the run at an error, which FastStream would only log before it goes on with the next message."""
        try:
            yield
        except Exception as error:
            self.fail(error)
            raise

    async def finished(self) -> None:
        """Wait until all events are committed. Raises the error that ended the run before."""
        await self.done.wait()
        if self._failure is not None:
            raise self._failure

    async def open_when(self, assigned: Callable[[], bool], share: Callable[[], Awaitable[int]] | None = None) -> None:
        """Open the gate once ``assigned`` has held for long enough, and start the clock.

        ``share`` tells how many of the events are this process's, where there is more than one.
        """
        since = None
        while since is None or time.monotonic() - since < _STANDS_SECONDS:
            since = (since or time.monotonic()) if assigned() else None
            await asyncio.sleep(0.02)
        if share is not None:
            self._events = await share()
        gc.collect()
        gc.freeze()
        self._began, self._cpu = time.monotonic(), -time.process_time()
        self.gate.set()

    def report(self) -> str:
        """One line of JSON for the parent."""
        assert self.done.is_set(), "the clock still runs"
        # The clock is the machine's, so that the parent can compare those of two processes.
        return json.dumps({"events": self._seen, "began": self._began, "ended": self._ended, "cpu_seconds": self._cpu})
