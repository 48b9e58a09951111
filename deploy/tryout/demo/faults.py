"""Faults on purpose, and how long it takes until all is as if nothing had happened."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from deploy.operate.waiting import wait_until_done
from deploy.tryout.demo.books import Books
from deploy.tryout.demo.quiet import Quiet, Stuck
from deploy.tryout.demo.report import Fault
from deploy.tryout.local.stack import Stack

__all__ = ["LostAnswer", "kill"]


async def kill(stack: Stack, quiet: Quiet, name: str) -> Fault:
    """SIGKILL a service and start it again. It has recovered when it has applied all that stood in the log at its
    death."""
    at, begun = datetime.now(UTC), time.monotonic()
    child = stack.processes[name]
    child.kill()
    await child.wait()
    ends = await quiet.ends()
    await stack.start(name)
    await quiet.until_read(name, ends)
    return Fault("sigkill", name, _text(at), round(time.monotonic() - begun, 1))


class LostAnswer:
    """One home books the next credit, and its answer is lost. It is recovered when the linkage knows of the booking."""

    def __init__(self, books: Books, host: str, home: str, record_ref: str) -> None:
        self._books, self._host, self._home, self._record_ref = books, host, home, record_ref
        self._booked_at: datetime | None = None

    async def arm(self) -> None:
        """From now on the home loses its next answer. No other message to the home may be under way."""
        await self._books.misbehave(self._home, {"commit_and_lose_answer": 1})

    async def booked(self, *, seconds: float = 60.0) -> None:
        """Wait until the home has booked the credit. Raises ``Stuck``."""

        async def unbooked() -> str | None:
            self._booked_at = await self._books.booked_at(self._home, self._record_ref)
            return None if self._booked_at is not None else self._record_ref

        def late(_: str) -> Stuck:
            return Stuck(f"{self._home} did not book {self._record_ref} within {seconds:.0f} s")

        await wait_until_done(unbooked, late, seconds=seconds)

    async def fault(self) -> Fault:
        """The fault and its recovery, once all is quiet. Raises ``Stuck``."""
        credited_at = await self._books.credited_at(self._host, self._record_ref)
        if credited_at is None or self._booked_at is None:
            raise Stuck(f"the linkage never learnt that {self._home} booked {self._record_ref}")
        recovered = round((credited_at - self._booked_at).total_seconds(), 1)
        return Fault("lost_answer", self._home, _text(self._booked_at), recovered)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
