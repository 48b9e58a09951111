"""The two acts: a hand-written weekend, then a summer of generated people, on a running linkage."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deploy
from deploy.demo import crowd, service, world
from deploy.demo.books import Books
from deploy.demo.faults import LostAnswer, kill
from deploy.demo.lines import Letter, check
from deploy.demo.publishing import Publisher
from deploy.demo.quiet import Look, Quiet, Stuck
from deploy.demo.report import Fault, Report, Setting, read
from deploy.demo.screen import Screen
from deploy.local.errors import EnvironmentProblem, LocalError
from deploy.local.stack import Stack

__all__ = ["SETTINGS", "WEEKEND", "XIA", "Play", "weekend"]

WEEKEND = Path(deploy.__file__).parent / "examples" / "weekend.jsonl"
XIA = ("sz", "sz-20061783")
"""夏小雨 at home: the registry and her number there."""
SETTINGS = {"AWAIT_FACTS": "15", "RECEIPT_DUE": "6"}
"""Short, because here nobody is away for long: what waits in vain is refused while the summer goes on."""
KILLED = "bridge"
LOSER = ("gz", "sz")
"""The host of the service whose credit is booked without an answer, and the home that books it."""


def weekend(path: Path = WEEKEND) -> list[Letter]:
    """The weekend's events. Raises ``EnvironmentProblem`` with every wrong line."""
    try:
        letters, problems = check(path.read_bytes().split(b"\n"))
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    if problems:
        details = "\n".join(str(problem) for problem in problems)
        raise EnvironmentProblem(f"{path.name} cannot be sent", details=details, todo="correct these lines")
    return letters


@dataclass
class Play:
    """One performance on a stack that is up. ``seed`` and ``people`` make the summer, ``calm`` breaks nothing."""

    stack: Stack
    screen: Screen
    seed: int
    people: int
    calm: bool
    begun: float
    faults: list[Fault] = field(default_factory=list)
    stuck: str | None = None
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Play:
        stack = self.stack
        urls = {name: stack.url(name) for name in stack.processes}
        enter = self._closing.enter_async_context
        try:
            self.books = await enter(Books(stack.dsn, urls, stack.tokens))
            self.quiet = await enter(Quiet(self.books, stack.dsn, stack.broker.address, self._died))
            self.publisher = await enter(Publisher(stack.broker.address))
            if any((await self.quiet.ends()).values()):
                raise EnvironmentProblem(
                    f"the topics at {stack.broker.address} hold messages of an earlier run",
                    todo="give a broker with empty topics, or none, so that one is started for this run",
                )
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    async def perform(self, letters: list[Letter]) -> None:
        """Both acts. What does not come to an end is kept in ``stuck``, and the report says so."""
        try:
            await self._weekend(letters)
            await self._summer()
        except Stuck as stuck:
            self.stuck = str(stuck)
            self.screen.say(f"STUCK  {stuck}")

    async def report(self) -> Report:
        """All that services and registries say now."""
        stack = self.stack
        broker = {"kind": stack.broker.kind, "version": stack.broker.version, "address": stack.broker.address}
        setting = Setting(self.seed, broker, stack.options.kinds, stack.dsn)
        return await read(self.books, setting, self.faults, seconds=time.monotonic() - self.begun, stuck=self.stuck)

    async def timeline(self) -> Any:
        """夏小雨's own, as her home may see it; None when the linkage knows nothing of her."""
        registry, ref = XIA
        try:
            return await self.books.get(
                "bridge", "/timeline", bearer=f"registry:{registry}", registry=registry, ref=ref
            )
        except LocalError as error:
            self.screen.say(f"no timeline: {error}")
            return None

    async def _weekend(self, letters: list[Letter]) -> None:
        self.screen.say("Act one: the weekend of deploy/examples/weekend.jsonl")
        await self._step("the weekend is served and credited", letters, waiting=True)

    async def _summer(self) -> None:
        self.screen.say(f"Act two: 志愿一夏, {self.people} people in both directions (seed {self.seed})")
        summer = world.make(self.seed, self.people, world.last_midnight(datetime.now(UTC)))
        await self._step("projects, shifts, links", [*crowd.offers(summer), *crowd.links(summer)])
        await self._step("windows in which people are busy at home", crowd.at_home(summer))
        await self._step("sign-ups", crowd.sign_ups(summer))
        standing = await self._standing()
        changed = [*crowd.second_thoughts(summer, standing), *service.without_a_post(summer, standing)]
        await self._step("posts given back, the next in line promoted", [*changed, *service.consent_withdrawn(summer)])
        services = service.plan(summer, await self._standing())
        half = len(services) // 2
        first = [*service.served_at_home(summer), *service.served(services[:half])]
        await self._first_services(first)
        await self._second_services(services[half:])
        await self._step("corrections, revocations, consent renewed", service.changes(summer, services), waiting=True)

    async def _first_services(self, letters: list[Letter]) -> None:
        if self.calm:
            await self._step("service, attested and on its way home", letters)
            return
        self.screen.begin("service, attested and on its way home")
        count = await self.publisher.publish(letters)
        await self.quiet.until(lambda look: _in_the_middle(look, count), self._tell)
        self.screen.say(f"           SIGKILL {KILLED}, in the middle of it")
        fault = await kill(self.stack, self.quiet, KILLED)
        self.faults.append(fault)
        self.screen.say(f"           {KILLED} is back and has caught up after {fault.recovered_seconds} s")
        await self.quiet.until(lambda look: not look.total(waiting=False), self._tell)
        self.screen.end(f"{count} messages")

    async def _second_services(self, services: list[service.Served]) -> None:
        host, home = LOSER
        chosen = next((one for one in services if one.host == host and one.ordinary), None)
        if chosen is None and not self.calm:
            self.screen.say("           so few people that nobody is left whose answer could be lost")
        if self.calm or chosen is None:
            await self._step("more service", service.served(services))
            return
        self.screen.begin("more service")
        lost = LostAnswer(self.books, host, home, chosen.record_ref)
        await lost.arm()
        await self.publisher.publish(list(service.served([chosen])))
        await lost.booked()
        self.screen.say(f"           {home} has booked a credit, and its answer is lost")
        rest = [one for one in services if one is not chosen]
        count = await self.publisher.publish(list(service.served(rest)))
        await self.quiet.until(lambda look: not look.total(waiting=False), self._tell)
        fault = await lost.fault()
        self.faults.append(fault)
        self.screen.say(f"           asked again, booked once: known after {fault.recovered_seconds} s")
        self.screen.end(f"{count + 3} messages")

    async def _step(self, title: str, letters: Iterable[Letter], *, waiting: bool = False) -> None:
        """Publish, and wait for the system's own answers until nothing is under way."""
        self.screen.begin(title)
        count = await self.publisher.publish(list(letters))
        await self.quiet.until(lambda look: not look.total(waiting=waiting), self._tell)
        self.screen.end(f"{count} messages")

    async def _standing(self) -> list[crowd.Standing]:
        return [*await self.books.standing("gz"), *await self.books.standing("sz")]

    def _tell(self, look: Look) -> None:
        self.screen.left(look.total(waiting=True))

    def _died(self) -> None:
        if self.stack.deaths:
            raise self.stack.deaths[-1]


def _in_the_middle(look: Look, count: int) -> bool:
    """Whether hours are on their way, or half of what was sent has come in."""
    return look.work[KILLED, "transfers_under_way"] > 0 or look.work[KILLED, "unread"] < count // 2
