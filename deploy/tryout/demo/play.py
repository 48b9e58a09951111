"""The demo's two acts on a running linkage: a hand-written weekend, then a summer of generated people."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import deploy
from deploy.operate.errors import EnvironmentProblem, LocalError
from deploy.operate.lines import Letter, check, days
from deploy.operate.publishing import Publisher
from deploy.tryout.demo import crowd, service, world
from deploy.tryout.demo.books import Books
from deploy.tryout.demo.faults import LostAnswer, kill
from deploy.tryout.demo.quiet import Look, Quiet, Stuck
from deploy.tryout.demo.report import Fault, Report, Setting, read
from deploy.tryout.demo.screen import Screen
from deploy.tryout.demo.showing import Timeline, where
from deploy.tryout.local.stack import Stack

__all__ = ["SETTINGS", "WEEKEND", "XIA", "Play", "weekend"]

WEEKEND = Path(deploy.__file__).parent / "examples" / "weekend.jsonl"
XIA = ("sz", "sz-20061783")
"""夏小雨 at home: the registry and her number there."""
SETTINGS = {"AWAIT_FACTS": "8", "RECEIPT_DUE": "6"}
"""Short, because here nobody is away for long: a message that waits in vain is refused while the summer goes on."""
KILLED = "bridge"
LOSERS = ("sz", "gz")
"""The home that books a credit without an answer, and the home that takes its place when nothing is credited there."""


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
    """One performance on a stack that is up. ``seed`` and ``people`` make the summer. With ``calm`` nothing is broken.

    ``stuck`` says which part did not come to an end, ``notes`` which part could not be shown.
    """

    stack: Stack
    screen: Screen
    seed: int
    people: int
    calm: bool
    begun: float
    faults: list[Fault] = field(default_factory=list)
    stuck: str | None = None
    notes: list[str] = field(default_factory=list)
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Play:
        stack = self.stack
        urls = {name: stack.url(name) for name in stack.specs}
        enter = self._closing.enter_async_context
        try:
            services = {name: dsn for name, dsn in stack.dsn.items() if not name.startswith("sandbox_")}
            self.books = await enter(Books(services, urls, stack.tokens))
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
        """Play both acts. A part that does not come to an end is kept in ``stuck``, and the report says so."""
        try:
            await self._weekend(letters)
            await self._summer()
        except Stuck as stuck:
            self.stuck = str(stuck)
            self.screen.say(f"STUCK  {stuck}")

    async def report(self) -> Report:
        """The report of all that services and registries say now."""
        stack = self.stack
        broker = {"kind": stack.broker.kind, "version": stack.broker.version, "address": stack.broker.address}
        setting = Setting(self.seed, broker, stack.options.kinds, stack.dsn)
        seconds = time.monotonic() - self.begun
        return await read(self.books, setting, self.faults, seconds=seconds, stuck=self.stuck, notes=self.notes)

    async def timeline(self) -> Timeline | None:
        """The timeline of 夏小雨, as her home may see it. None when the linkage knows nothing of her."""
        registry, ref = XIA
        bearer = f"registry:{registry}"
        try:
            page = await self.books.get("bridge", "/timeline", bearer=bearer, registry=registry, ref=ref)
        except LocalError as error:
            self.screen.say(f"no timeline: {error}")
            return None
        shifts = {}
        for place in {where(entry) for group in ("signups", "services") for entry in page[group]}:
            with contextlib.suppress(LocalError):  # its host never published this shift
                path = "/".join(quote(part, safe="") for part in place)
                shifts[place] = await self.books.get("opportunities", f"/shifts/{path}", bearer=bearer)
        return Timeline(page, shifts)

    async def _weekend(self, letters: list[Letter]) -> None:
        self.screen.say("Act one: the weekend of deploy/examples/weekend.jsonl, day by day")
        cut = days(letters)
        for number, (day, of_day) in enumerate(cut, 1):
            await self._step(f"{day:%A %Y-%m-%d}", of_day, waiting=number == len(cut))

    async def _summer(self) -> None:
        self.screen.say(f"Act two: 志愿一夏, {self.people} people in both directions (seed {self.seed})")
        summer = world.make(self.seed, self.people, world.last_midnight(datetime.now(UTC)))
        await self._step("projects, shifts, links", [*crowd.offers(summer), *crowd.links(summer)])
        await self._step("windows in which people are busy at home", crowd.at_home(summer))
        await self._step("sign-ups", crowd.sign_ups(summer))
        standing = await self._standing()
        changed = [*crowd.second_thoughts(summer, standing), *service.without_a_post(summer, standing)]
        await self._step("posts given back, the next in line promoted", [*changed, *service.consent_withdrawn(summer)])
        await self._step("where a host allots less than it gave, latecomers wait", crowd.latecomers(summer, standing))
        services = service.plan(summer, await self._standing())
        losing = self._losing(services)
        others = [one for one in services if one is not losing]
        half = len(others) // 2
        await self._first_services([*service.served_at_home(summer), *service.served(others[:half])])
        await self._second_services(losing, others[half:])
        later = [*service.changes(summer, services), *service.reviews(services)]
        await self._step("corrections, revocations, reviews, consent renewed", later, waiting=True)

    def _losing(self, services: list[service.Served]) -> service.Served | None:
        """The service whose credit is booked without an answer. None with ``calm``, and when no service is to be
        credited."""
        if self.calm:
            return None
        found = service.to_credit(services, LOSERS)
        if found is None:
            self.notes.append("lost_answer did not happen: in so small a crowd nobody has a service to be credited")
        return found

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
        self.screen.end(_messages(count))

    async def _second_services(self, losing: service.Served | None, others: list[service.Served]) -> None:
        if losing is None:
            await self._step("more service", service.served(others))
            return
        self.screen.begin("more service")
        home = losing.volunteer.home
        lost = LostAnswer(self.books, losing.host, home, losing.record_ref)
        await lost.arm()
        first = await self.publisher.publish(list(service.served([losing])))
        await lost.booked()
        self.screen.say(f"           {home} has booked a credit, and its answer is lost")
        rest = await self.publisher.publish(list(service.served(others)))
        await self.quiet.until(lambda look: not look.total(waiting=False), self._tell)
        fault = await lost.fault()
        self.faults.append(fault)
        self.screen.say(f"           asked again, booked once: known after {fault.recovered_seconds} s")
        self.screen.end(_messages(first + rest))

    async def _step(self, title: str, letters: Iterable[Letter], *, waiting: bool = False) -> None:
        """Publish, and wait until nothing is under way, by the system's own answers."""
        self.screen.begin(title)
        count = await self.publisher.publish(list(letters))
        await self.quiet.until(lambda look: not look.total(waiting=waiting), self._tell)
        self.screen.end(_messages(count))

    async def _standing(self) -> list[crowd.Standing]:
        return [*await self.books.standing("gz"), *await self.books.standing("sz")]

    def _tell(self, look: Look) -> None:
        self.screen.left(look.total(waiting=True))

    def _died(self) -> None:
        if self.stack.deaths:
            raise self.stack.deaths[-1]


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _in_the_middle(look: Look, count: int) -> bool:
    """Whether hours are on their way, or half of the sent messages are applied."""
    return look.work[KILLED, "transfers_under_way"] > 0 or look.work[KILLED, "unread"] <= count // 2
