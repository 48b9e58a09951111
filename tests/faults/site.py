"""The place of the faults: one running linkage on real Kafka that all cells use, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx

from deploy.demo.lines import Letter
from deploy.demo.publishing import Publisher
from deploy.demo.quiet import Look, Quiet
from deploy.local.errors import ProcessFailed
from deploy.local.processes import Child
from deploy.local.stack import Stack, StackOptions
from tests.faults.books import PatientBooks, judge, set_aside
from tests.faults.load import Planned, plan
from tests.support.checker import check, gather
from tests.support.waiting import eventually

__all__ = ["SETTINGS", "Site", "site"]

SETTINGS = {"AWAIT_FACTS": "20", "RECEIPT_DUE": "2"}
RECOVERY_SECONDS = 10.0
"""So long at most from a SIGKILL of one process until it is ready and all that the cell sent is where it belongs."""


class Site:
    """A stack with its books. ``leftover`` and ``known_aside``: what earlier cells left under way or in quarantine."""

    def __init__(self, stack: Stack, books: PatientBooks, quiet: Quiet, publisher: Publisher) -> None:
        self.stack = stack
        self.books = books
        self.quiet = quiet
        self.publisher = publisher
        self.leftover: dict[tuple[str, str], int] = {}
        self.known_aside: dict[str, str] = {}
        self._http = httpx.AsyncClient(timeout=10.0, trust_env=False)

    def child(self, name: str) -> Child:
        """The process as it was started last."""
        return self.stack.processes[name]

    async def publish(self, letters: Sequence[Letter]) -> None:
        """Publish in the registries' names; order holds within each key."""
        await self.publisher.publish(letters)

    async def drained(self, *, but: Mapping[tuple[str, str], int] | None = None) -> Look:
        """Wait until nothing is under way. Raises ``Stuck`` when nothing moves any more."""
        rest = self.leftover if but is None else {**self.leftover, **but}
        return await self.quiet.until(lambda look: {place: n for place, n in look.work.items() if n} == rest)

    async def restart(self, name: str, **settings: str) -> Child:
        """Stop a process in order and start it again, ready; with a failpoint it may be dead there already."""
        await self.child(name).stop()
        try:
            await self.stack.start(name, settings=settings)
        except ProcessFailed:
            if "FAILPOINT" not in settings:
                raise
        return self.child(name)

    async def add(self, name: str) -> str:
        """A second instance of a process, started and ready; gives its name."""
        second = f"{name}-1"
        if second not in self.stack.specs:
            self.stack.add(replace(self.stack.specs[name], name=second, instance=1))
        await self.stack.start(second)
        return second

    async def remove(self, second: str, rng: random.Random) -> None:
        """Stop a second instance, and see the first one do the work alone."""
        await self.child(second).stop()
        alone = plan(rng, 2)
        await self.publish([one for each in alone for one in each.said])
        await self.drained()

    async def all_ready(self) -> bool:
        """Whether every process says that it is ready; gives them ten seconds, for health looks at lanes and relay."""

        async def asked() -> bool:
            return all([await self._ready(name) for name, child in self.stack.processes.items() if child.running])

        try:
            await eventually(asked, 10, every=0.2, what="every process ready")
        except AssertionError:
            return False
        return True

    async def _ready(self, name: str) -> bool:
        return (await self.health(name)).get("ready") is True

    async def health(self, name: str) -> dict[str, Any]:
        """What a process says of itself; nothing when it does not answer."""
        try:
            answer = await self._http.get(f"{self.stack.url(name)}/health/ready")
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError):
            return {}
        return found | {"ready": answer.is_success}

    async def says(self, name: str, field: str, wanted: object, *, seconds: float) -> bool:
        """Whether a process comes to say this of itself in time."""

        async def asked() -> bool:
            return (await self.health(name)).get(field) == wanted

        try:
            await eventually(asked, seconds, every=0.1, what=f"{name}: {field} {wanted}")
        except AssertionError:
            return False
        return True

    async def until(self, ask: Callable[[], Awaitable[Any]], wanted: object, *, seconds: float) -> None:
        """Wait for an answer. Raises ``AssertionError``."""

        async def asked() -> bool:
            found = await ask()
            assert found == wanted, f"{found!r}, wanted {wanted!r}"
            return True

        await eventually(asked, seconds, every=0.3)

    async def refusals(self, ids: Sequence[str]) -> dict[str, str]:
        """Reasons by id of the messages that came back to the registries."""
        sql = "SELECT message_id, reason FROM refusal WHERE message_id = ANY($1)"
        rows = [row for code in ("gz", "sz") for row in await self.books.fetch(f"sandbox_{code}", sql, list(ids))]
        return {row["message_id"]: row["reason"] for row in rows}

    async def judge(self, planned: Sequence[Planned]) -> tuple[dict[str, bool], list[str]]:
        """The books of all registries against the plan."""
        return await judge(self.books, planned, self.known_aside)

    async def aside(self) -> dict[str, str]:
        """What stands in quarantine now, by database."""
        return await set_aside(self.books)

    async def close(self) -> None:
        """Let go of connections; the stack is not its own."""
        await self._http.aclose()

    async def outside(self) -> tuple[bool, list[str]]:
        """The outside checker's verdict on everything since the stack was started."""
        world = await gather(self.stack.broker.address, self.stack.dsn)
        report = await asyncio.to_thread(check, world)
        return report.green, [str(found[0]) for found in report.violations.values() if found]


async def died(child: Child, *, seconds: float) -> float | None:
    """When a process was gone (monotonic seconds), or None if it did not end by then."""
    try:
        await asyncio.wait_for(child.wait(), seconds)
    except TimeoutError:
        return None
    return time.monotonic()


@contextlib.asynccontextmanager
async def site(broker: str | None, *, keep: bool = False, **options: object) -> AsyncIterator[Site]:
    """A linkage with a registry of each kind, so that an adapter is on the way."""
    chosen = StackOptions(
        broker=broker,
        default_broker="java",
        profile="test",  # production refuses failpoints
        settings=SETTINGS,
        keep_folder=keep,
        **options,  # type: ignore[arg-type]
    )
    async with AsyncExitStack() as closing:
        stack = await closing.enter_async_context(Stack(chosen, on_death=lambda failure: None))
        urls = {name: stack.url(name) for name in stack.processes}
        books = PatientBooks(stack.dsn, urls, stack.tokens)
        await closing.enter_async_context(books)
        quiet = await closing.enter_async_context(Quiet(books, stack.dsn, stack.broker.address, lambda: None))
        publisher = await closing.enter_async_context(Publisher(stack.broker.address))
        place = Site(stack, books, quiet, publisher)
        closing.push_async_callback(place.close)
        yield place
