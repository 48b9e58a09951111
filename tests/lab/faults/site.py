"""The place of the faults: one running linkage on real Kafka that all cells use, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import yaml
from aiokafka import TopicPartition

from contracts.registry import Capability
from deploy.audit import check, gather
from deploy.audit.violations import Violation
from deploy.operate.errors import LocalError, ProcessFailed
from deploy.operate.lines import Letter
from deploy.operate.publishing import Publisher
from deploy.tryout.demo.quiet import Look, Quiet
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.processes import Child
from deploy.tryout.local.stack import Stack
from tests.lab.faults import figures
from tests.lab.faults.books import PatientBooks, holders, judge, set_aside
from tests.lab.faults.groups import Share, expel, shares
from tests.lab.faults.load import Story, visits
from tests.lab.faults.scenes import settled
from tests.support.checker.private import with_private_tables
from tests.support.lines import end_lines
from tests.support.waiting import eventually

__all__ = ["RECOVERY_SECONDS", "SETTINGS", "Site", "site"]

SETTINGS = {"AWAIT_FACTS": "20", "RECEIPT_DUE": "2"}
SETTLES_SECONDS = 3
"""So long these ledgers work on one credit at most: a queryable one is believed so long after a call was given up."""
_SETTLE_SECONDS = 30.0
"""So long after a red cell the linkage may take to come to rest by itself: longer than any wait for a fact."""
_TOLD_OF_REGISTRIES = ("sandbox_gz", "sandbox_sz", "adapter_sz", "bridge")
RECOVERY_SECONDS = 10.0
"""So long at most from a SIGKILL of one process until it is ready and all that the cell sent is where it belongs."""


class Site:
    """A stack with its books. ``leftover`` and ``known_aside``: what earlier cells left under way or in quarantine.

    ``patience`` is what every bound on time is multiplied by: 1 where times are measured, more where they are not.
    """

    def __init__(
        self, stack: Stack, books: PatientBooks, quiet: Quiet, publisher: Publisher, patience: float = 1.0
    ) -> None:
        self.patience = patience
        self.stack = stack
        self.books = books
        self.quiet = quiet
        self.publisher = publisher
        self.leftover: dict[tuple[str, str], int] = {}
        self.known_aside: dict[str, str] = {}
        self._told: set[Violation] = set()
        self._unusual: set[str] = set()
        self._capability: Capability | None = None
        self._launched = {file: file.read_text() for file in (stack.folder / "registries").glob("*.yaml")}
        self._http = httpx.AsyncClient(timeout=10.0, trust_env=False)

    def child(self, name: str) -> Child:
        """The process as it was started last."""
        return self.stack.processes[name]

    async def publish(self, letters: Sequence[Letter]) -> None:
        """Publish in the registries' names; order holds within each key."""
        await self.publisher.publish(letters)

    async def drained(self, *, but: Mapping[tuple[str, str], int] | None = None) -> Look:
        """Wait until nothing is under way, or at most so much of ``but``. Raises ``Stuck`` when nothing moves any more.

        What an earlier cell left under way may stay so, and may as well come to its end meanwhile.
        """
        allowed = {**self.leftover, **(but or {})}
        return await self.quiet.until(lambda look: look.within(allowed))

    async def restart(self, name: str, **settings: str) -> Child:
        """Stop a process in order and start it again, ready; with a failpoint it may be dead there already."""
        await self.child(name).stop()
        return await self.start(name, **settings)

    async def start(self, name: str, **settings: str) -> Child:
        """Start a process that is down; with a failpoint it may be dead before it is ready."""
        self._note(name, settings)
        try:
            await self.stack.start(name, settings=settings)
        except ProcessFailed:
            if "FAILPOINT" not in settings:
                raise
        return self.child(name)

    async def launch(self, name: str, **settings: str) -> Child:
        """The same without waiting until it is ready."""
        self._note(name, settings)
        await self.stack.launch(name, settings=settings)
        return self.child(name)

    def _note(self, name: str, settings: Mapping[str, str]) -> None:
        (self._unusual.add if settings else self._unusual.discard)(name)

    async def add(self, name: str) -> str:
        """A second instance of a process, started and ready; gives its name."""
        await self.stack.start(second := self.second(name))
        return second

    def second(self, name: str) -> str:
        """The name of a second instance of a process, which the stack knows from now on."""
        if (second := f"{name}-1") not in self.stack.specs:
            self.stack.add(replace(self.stack.specs[name], name=second, instance=1))
        return second

    async def forget(self, second: str) -> None:
        """Stop a second instance for good, and take it out of its groups."""
        await self.stack.processes.pop(second).stop()
        await expel(self.stack.broker.address, await self.groups(second.removesuffix("-1")), 1)

    async def remove(self, second: str, rng: random.Random) -> None:
        """Forget a second instance, and see the first one do the work alone."""
        await self.forget(second)
        alone = visits(rng, 2)
        await self.publish([one for each in alone for one in each.said])
        await self.drained()

    async def tidy(self) -> None:
        """After a red cell: every process of the journey up as it should be and alone, so that the next cell is not
        blamed for this one."""
        for second in [name for name in self.stack.processes if name.endswith("-1")]:
            await self.forget(second)
        for name, child in list(self.stack.processes.items()):
            if name in self._unusual or not child.running:
                with contextlib.suppress(LocalError):
                    await self.restart(name)
        with contextlib.suppress(AssertionError):  # what is still under way then stays so, and is not looked at again
            await eventually(self._nothing_under_way, _SETTLE_SECONDS * self.patience, every=0.5)
        look = await self.quiet.look()
        self.leftover = {place: count for place, count in look.work.items() if count}
        self.known_aside = await self.aside()

    async def _nothing_under_way(self) -> bool:
        return not (await self.quiet.look()).total(waiting=True)

    async def configure(self, capability: Capability | None) -> None:
        """Both registries' ledgers of this capability, or as they are configured; whoever knows of it starts again."""
        if capability == self._capability:
            return
        for file, text in self._launched.items():
            registry = yaml.load(text, Loader=yaml.BaseLoader) | {"settles_within_seconds": SETTLES_SECONDS}
            registry |= {"capability": capability} if capability else {}
            file.write_text(yaml.safe_dump(registry, allow_unicode=True, sort_keys=False))
        await asyncio.gather(*(self.restart(name) for name in _TOLD_OF_REGISTRIES))
        self._capability = capability

    async def groups(self, name: str) -> list[str]:
        """The consumer groups of a process."""
        rows = await self.books.fetch(self.stack.specs[name].database, "SELECT DISTINCT grp FROM consumed ORDER BY 1")
        return [row[0] for row in rows]

    async def shares(self, name: str) -> Share:
        """Which instance of a process has which partitions."""
        return await shares(self.stack.broker.address, await self.groups(name))

    async def reads(self, name: str) -> set[TopicPartition]:
        """All partitions that a process reads, over all its instances."""
        sql = "SELECT topic, partition FROM consumed"
        rows = await self.books.fetch(self.stack.specs[name].database, sql)
        return {TopicPartition(row["topic"], row["partition"]) for row in rows}

    async def applied(self, name: str) -> int:
        """Messages that this process has applied since it started, by its own metrics."""
        return await figures.applied(self.stack.url(name))

    async def misbehaviour_left(self, code: str) -> dict[str, Any]:
        """What a sandbox was asked for and has not done yet."""
        headers = {"authorization": f"Bearer {self.stack.tokens[f'system:{code}']}"}
        answer = await self._http.get(f"{self.stack.url(f'sandbox_{code}')}/misbehave", headers=headers)
        return {name: left for name, left in answer.json().items() if left}

    def in_time(self, what: str, seconds: float, limit: float = RECOVERY_SECONDS) -> dict[str, bool]:
        """The check that something took less than so many seconds."""
        bound = limit * self.patience
        return {f"{what}_within_{bound:.0f}_s": seconds < bound}

    async def all_ready(self) -> bool:
        """Whether every process says that it is ready; gives them ten seconds, for health looks at lanes and relay."""

        async def asked() -> bool:
            running = [name for name, child in self.stack.processes.items() if child.running]
            return all([(await self.health(name)).get("ready") for name in running])

        return await self._comes_true(asked, 10, "every process ready")

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

        return await self._comes_true(asked, seconds, f"{name}: {field} {wanted}")

    async def _comes_true(self, asked: Callable[[], Awaitable[bool]], seconds: float, what: str) -> bool:
        try:
            return await eventually(asked, seconds * self.patience, every=0.1, what=what)
        except AssertionError:
            return False

    async def until(self, ask: Callable[[], Awaitable[Any]], wanted: object, *, seconds: float) -> None:
        """Wait for an answer. Raises ``AssertionError``."""

        async def asked() -> bool:
            found = await ask()
            assert found == wanted, f"{found!r}, wanted {wanted!r}"
            return True

        await eventually(asked, seconds * self.patience, every=0.3)

    async def refusals(self, ids: Sequence[str]) -> dict[str, str]:
        """Reasons by id of the messages that came back to the registries."""
        sql = "SELECT message_id, reason FROM refusal WHERE message_id = ANY($1)"
        rows = [row for code in ("gz", "sz") for row in await self.books.fetch(f"sandbox_{code}", sql, list(ids))]
        return {row["message_id"]: row["reason"] for row in rows}

    async def judge(self, stories: Sequence[Story]) -> tuple[dict[str, bool], list[str]]:
        """The books of all registries against the plan. Then the lines of the cell end: by themselves they would a
        quarter of an hour later, in the middle of another cell.
        """
        verdict = await judge(self.books, stories, self.known_aside)
        if await end_lines(self.stack):
            await self.drained()
        return verdict

    async def settled(self, stories: Sequence[Story]) -> list[Story]:
        """The same stories, now that all but what is said late is applied."""
        return [settled(one, await holders(self.books, one) if one.may_leave else ()) for one in stories]

    async def aside(self) -> dict[str, str]:
        """What stands in quarantine now, by database."""
        return await set_aside(self.books)

    async def close(self) -> None:
        """Let go of connections; the stack is not its own."""
        await self._http.aclose()

    async def outside(self) -> tuple[bool, list[str]]:
        """The outside checker's verdict on everything since the stack was started, but for what it said before."""
        seen = await gather(self.stack.broker.address, self.stack.dsn)
        world = await with_private_tables(seen, self.stack.dsn)
        report = await asyncio.to_thread(check, world)
        fresh = {name: [one for one in found if one not in self._told] for name, found in report.violations.items()}
        self._told.update(one for found in fresh.values() for one in found)
        return not any(fresh.values()), [str(found[0]) for found in fresh.values() if found]


@contextlib.asynccontextmanager
async def site(
    broker: str | None, *, keep: bool = False, patience: float = 1.0, profile: str = "test", **options: object
) -> AsyncIterator[Site]:
    """A linkage with a registry of each kind, so that an adapter is on the way.

    ``profile``: ``test`` on Apache Kafka, ``embedded`` elsewhere; production refuses failpoints.
    """
    chosen = StackOptions(
        broker=broker,
        default_broker="java",
        profile=profile,
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
        place = Site(stack, books, quiet, publisher, patience)
        closing.push_async_callback(place.close)
        yield place
