"""One run: steps are taken on a linkage in memory, and after each of them everything that must hold is looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any, Final

from aiokafka import TopicPartition

from contracts.messages import Message
from contracts.registry import Capability
from services.chassis.service import Service
from tests.simulation.cast import Cast
from tests.simulation.faults import FAULTS, clock_of
from tests.simulation.invariants import Watch
from tests.simulation.operators import Act, Operators, release
from tests.simulation.registry import Broken, Registry, Said
from tests.simulation.saying import said_by
from tests.simulation.steps import SAYINGS, Step, seconds
from tests.support.clocks import HandClock, SkewedClock
from tests.support.linkage import Linkage, Log, Member, at_once
from tests.support.linkages import ALL, MOMENT, services_of, settings_of, with_capabilities
from tests.support.memory import in_memory

__all__ = ["Run", "failure_of"]

_CAPABILITIES: Final[tuple[Capability, ...]] = ("idempotent", "queryable", "neither")
_CAPS: Final = (480, 480, 150, 90)
_BATCHES: Final = (1, 2, 5, 500)
_MOST_TURNS: Final = 2000
_COMMIT: Final = timedelta(milliseconds=3)


@cache
def _services(cap: int) -> tuple[Service, ...]:
    return tuple(services_of(ALL, settings_of({"day_cap_minutes": cap})))


@dataclass
class Run:
    """The linkage of two registries, with a clock a service."""

    seed: int
    change: Callable[[Service], Service] | None = None
    """How a safeguard was removed, in a test of the simulation itself."""
    story: list[str] = field(default_factory=list)
    said: int = 0

    def __post_init__(self) -> None:
        random = Random(self.seed ^ 0x5C)
        self.clock = HandClock(MOMENT)
        self.log = Log(self.clock, ("gz", "sz"))
        self.capabilities = capabilities = {code: random.choice(_CAPABILITIES) for code in ("gz", "sz")}
        self.registries = {code: Registry(code, capability, self.log) for code, capability in capabilities.items()}
        self.cap = random.choice(_CAPS)
        settings = settings_of({"day_cap_minutes": self.cap})
        members = []
        for built in _services(self.cap):
            service = with_capabilities(built, capabilities) if built.name == "bridge" else built
            service, base = in_memory(service if self.change is None else self.change(service))
            members.append(Member(service, base, settings, self.log, SkewedClock(self.clock)))
            at_once(members[-1].restart())
        self.linkage = Linkage(members, self.log, self.clock)
        self.members = members
        self.cast = Cast(MOMENT)
        self.watch = Watch(self.linkage, self.registries, self.cap)
        self.records: list[tuple[str, Message, str]] = []
        self.stalled: dict[tuple[str, str], int] = {}
        self.operators = Operators(self)
        self._reached: defaultdict[str, int] = defaultdict(int)
        """Of services, the row of the outbox that was published and stands furthest behind."""
        self.dumps: dict[str, tuple[datetime, Any]] = {}
        """Of services, the last dump of the database, and when it was taken."""

    def take(self, step: Step) -> None:
        """Take one step. Raises ``Broken``."""
        self.tick()
        if step.kind == "move":
            self._move(Random(step.salt), Random(step.salt).randrange(2, 9))
        elif step.kind == "pass":
            self._pass(timedelta(seconds=seconds(step.salt)))
        elif step.kind == "shift_begins":
            self._pass(timedelta(minutes=100))
        elif step.kind == "dump":
            self.dump(self.members[step.salt % len(self.members)].service.name)
        elif step.kind in SAYINGS:
            if (found := said_by(step.kind, step.salt, self.cast, self.registries, self.clock.moment)) is not None:
                self.say(*found)
        else:
            FAULTS[step.kind].act(self, Random(step.salt))

    def say(self, code: str, message: Message) -> None:
        """A registry says something."""
        id = self.linkage.say(code, message)
        self.records.append((code, message, id))
        self.registries[code].said[id] = Said(message, self.clock.moment)
        self.said += 1
        self.tell(f"{code} says {in_short(message)}")

    def start(self, member: Member, *, restored: bool = False) -> None:
        """A service begins again on its database as it is now."""
        at_once(member.restart())
        self.tick()
        if member.service.name == "bridge":
            self.operators.border_begins()
        if restored:
            self.watch.restored(member)

    def dump(self, name: str) -> None:
        """Copy the database of a service."""
        self.dumps[name] = self.clock.moment, at_once(self.linkage.members[name].base.dump())
        self.tell(f"the database of {name} is dumped")

    def restore(self, name: str) -> None:
        """The database of a service is as it was at its last dump. What it had decided before its last message was
        published: a replay does not find out otherwise in which order (CONTRIBUTING, what is known and open).
        """
        taken, dump = self.dumps[name]
        member = self.linkage.members[name]
        for rows in at_once(member.standing()).values():
            if earlier := [row for row in rows if row[0] < self._reached[name]]:
                at_once(member.send(earlier))
        self._reached[name] = 0
        at_once(member.base.restore(dump))
        self.tell(f"the database of {name} is restored to {taken:%H:%M:%S}")

    def operate(self, act: Act, code: str) -> None:
        """An operator acts at the border. Nobody does it again after a restoration, so earlier dumps are not used."""
        at_once(act(self.linkage.members["bridge"], code))
        self.dumps.pop("bridge", None)

    def tell(self, what: str) -> None:
        """Another line of the story."""
        self.story.append(f"{self.clock.moment:%H:%M:%S} {what}")

    # -- everything moves on --------------------------------------------------------------------------------------

    def _move(self, random: Random, count: int) -> None:
        for _ in range(count):
            possible = self._possible()
            if not possible:
                return
            random.choice(possible)(random)
            self.tick()

    def _possible(self) -> list[Callable[[Random], object]]:
        found: list[Callable[[Random], object]] = []
        self.operators.turn()
        if self.operators.ending:
            found.append(self.end_pauses)
        for member in self.members:
            for group in member.lanes:
                if self.stalled.get((member.service.name, group), 0) > 0:
                    self.stalled[member.service.name, group] -= 1
                elif places := member.unread(group):
                    found.append(_bound(self.apply, member, group, places))
            memory: Any = member.base
            if memory.outbox:
                found += [_bound(self.send, member)] * 2
            if memory.timers:
                found.append(_bound(self._fire, member))
            if memory.asides:
                found.append(_bound(self._reenter, member))
        for registry in self.registries.values():
            if places := registry.unread():
                found.append(_bound(self._hear, registry, places))
        return found

    def apply(self, member: Member, group: str, places: Sequence[TopicPartition], random: Random) -> None:
        """A lane applies a batch of some of these partitions."""
        some = random.sample(places, random.randint(1, len(places)))
        at_once(member.take(group, some, random.choice(_BATCHES)))
        self.watch.applied(member, group)

    def send(self, member: Member, random: Random, *, forget: bool = True) -> None:
        rows = random.choice(list(at_once(member.standing()).values()))[: random.choice(_BATCHES)]
        at_once(member.send(rows, forget=forget))
        self._reached[member.service.name] = max(self._reached[member.service.name], rows[-1][0])

    def end_pauses(self, _: Random) -> bool:
        """The border's task looks once."""
        ended = self.operators.end_pauses()
        if ended:
            self.dumps.pop("bridge", None)
        return bool(ended)

    def _fire(self, member: Member, _: Random) -> None:
        at_once(member.fire())

    def _reenter(self, member: Member, _: Random) -> None:
        at_once(member.reenter())
        self.watch.applied(member, "re-entry")

    def _hear(self, registry: Registry, places: Sequence[TopicPartition], random: Random) -> None:
        for receipt in registry.take(random.choice(places), random.choice(_BATCHES), random):
            self.say(registry.code, receipt)

    def tick(self) -> None:
        """A commit takes time: of what was decided one after the other the later has the later moment."""
        self.clock.moment += _COMMIT

    def _pass(self, span: timedelta) -> None:
        self.clock.moment += span
        self.tell(f"{span.total_seconds():.0f} s pass")

    # -- the end --------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Registries are honest, operators release what raised, and time passes until nothing moves any more."""
        random = Random(self.seed)
        self.stalled.clear()
        self.operators.resume()
        for registry in self.registries.values():
            registry.honest = True
        for member in self.members:
            clock_of(member).offset = timedelta()
        for _ in range(40):
            self._settle(random)
            self._pass(timedelta(minutes=16))
            if self._is_quiet():
                break
        self._settle(random)
        self.watch.ended()

    def _settle(self, random: Random) -> None:
        for member in self.members:
            at_once(release(member))
        for _ in range(_MOST_TURNS):
            moved = self.end_pauses(random)
            for member in self.members:
                moved |= bool(at_once(member.fire()))
                for group in member.lanes:
                    if places := member.unread(group):
                        at_once(member.take(group, places))
                        self.watch.applied(member, group)
                        self.tick()
                        moved = True
                moved |= self._reenter_all(member)
                for rows in at_once(member.standing()).values():
                    at_once(member.send(rows))
                    moved = True
            for registry in self.registries.values():
                for tp in registry.unread():
                    moved = True
                    for receipt in registry.take(tp, 500, random):
                        self.say(registry.code, receipt)
            if not moved:
                return
        raise Broken("it never comes to rest")

    def _reenter_all(self, member: Member) -> bool:
        for turn in range(_MOST_TURNS):
            if not at_once(member.reenter()):
                return turn > 0
            self.watch.applied(member, "re-entry")
            self.tick()
        raise Broken("re-entry never comes to rest")

    def _is_quiet(self) -> bool:
        return not any(at_once(member.base.due()) or self._waits(member) for member in self.members)

    @staticmethod
    def _waits(member: Member) -> bool:
        return any(row.reason != "reused_id" for row in at_once(member.base.set_aside()))


def in_short(message: Message) -> str:
    """A message in a line of a story."""
    names = ("volunteer_ref", "registry", "for_registry", "signup_ref", "shift_ref", "record_ref", "version", "posts",
             "state", "revoked", "code", "delta", "retry", "attempt")  # fmt: skip
    values = ((name, getattr(message, name, None)) for name in names)
    return " ".join([type(message).__name__, *(f"{name}={value}" for name, value in values if value is not None)])


def _bound(act: Callable[..., object], *arguments: Any) -> Callable[[Random], object]:
    return lambda random: act(*arguments, random)


def failure_of(
    seed: int, steps: Sequence[Step], change: Callable[[Service], Service] | None = None
) -> tuple[str, Run] | None:
    """What a run of these steps breaks, and the run; None where everything holds."""
    run = Run(seed, change)
    try:
        for step in steps:
            run.take(step)
        run.end()
    except Broken as error:
        return str(error), run
    except Exception as error:  # whatever the services themselves raise is a failure too
        return f"{type(error).__name__}: {error}", run
    return None
