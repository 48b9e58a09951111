"""The verdict: each invariant, green or red, with its first finding."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from deploy.audit.answers import answered
from deploy.audit.book import Book
from deploy.audit.canaries import canaries
from deploy.audit.consent import consent
from deploy.audit.conservation import at_most_once, conservation, directions, sanity
from deploy.audit.losses import nothing_lost, replay
from deploy.audit.order import order
from deploy.audit.poison import drained, poison
from deploy.audit.posts import minors, no_overbooking, no_overlap
from deploy.audit.traces import nothing_from_nowhere
from deploy.audit.violations import Violation, in_order
from deploy.audit.world import World

__all__ = ["INVARIANTS", "Report", "check"]

Invariant: TypeAlias = Callable[[Book], Iterator[Violation]]

INVARIANTS: Final[dict[str, tuple[str, Invariant]]] = {
    "I1": ("conservation", conservation),
    "I2": ("at most once", at_most_once),
    "I4": ("no overlap", no_overlap),
    "I5": ("no overbooking", no_overbooking),
    "I6": ("order", order),
    "I7": ("answered", answered),
    "I8": ("nothing lost", nothing_lost),
    "I9": ("nothing from nowhere", nothing_from_nowhere),
    "I12": ("replay", replay),
    "I13": ("consent", consent),
    "I14": ("canaries", canaries),
    "I15": ("poison", poison),
    "I16": ("drained", drained),
    "I17": ("sanity", sanity),
    "I19": ("minors", minors),
}


@dataclass(frozen=True)
class Report:
    """The findings, by invariant, in the order of the logs, each once."""

    violations: dict[str, list[Violation]]
    directions: dict[str, dict[str, int]]
    messages: int
    seconds: float

    @property
    def red(self) -> set[str]:
        """The names of invariants that do not hold."""
        return {name for name, found in self.violations.items() if found}

    @property
    def green(self) -> bool:
        """Whether all hold."""
        return not self.red

    @property
    def all(self) -> list[Violation]:
        """All findings. A finding is equal to the same finding in the report of a longer run
        (``Violation.identity``)."""
        return [violation for found in self.violations.values() for violation in found]

    def beyond(self, known: Iterable[Violation]) -> Report:
        """The report without earlier findings."""
        old = set(known)
        left = {name: [one for one in found if one not in old] for name, found in self.violations.items()}
        return replace(self, violations=left)

    def document(self) -> dict[str, Any]:
        """The verdict for JSON, and for each invariant the number of findings and the first."""
        return {
            "schema": 1,
            "verdict": "green" if self.green else "red",
            "messages": self.messages,
            "seconds": round(self.seconds, 2),
            "directions": self.directions,
            "invariants": {
                name: {
                    "meaning": INVARIANTS[name][0],
                    "verdict": "red" if found else "green",
                    "violations": len(found),
                    "first": found[0].document() if found else None,
                }
                for name, found in self.violations.items()
            },
        }

    def text(self) -> str:
        """The verdict as text for people."""
        lines = [f"{self.messages} messages checked in {self.seconds:.1f} s"]
        for name, found in self.violations.items():
            meaning = INVARIANTS[name][0]
            lines.append(f"  {name:<4} {meaning:<22} {f'RED, {len(found)} times' if found else 'green'}")
            lines += [f"         {violation}" for violation in found[:3]]
        for direction, sums in self.directions.items():
            lines.append(f"  {direction}: " + ", ".join(f"{name} {sum_}" for name, sum_ in sums.items()))
        return "\n".join(lines)


def check(
    world: World, *, drained: bool = True, day_cap: int = 480, canaries: Iterable[str] = (), only: Iterable[str] = ()
) -> Report:
    """Judge a snapshot.

    ``drained``: the run has ended, so nothing may be on its way. ``day_cap``: minutes of a person's day that the
    linkage confirms. ``canaries``: words that a test planted in messages to ``registry.*.volunteers``. ``only``:
    names of invariants, all by default.
    """
    started = time.perf_counter()
    with _no_collection():
        book = Book(world, drained=drained, day_cap=day_cap, canaries=canaries)
        names = list(only) or list(INVARIANTS)
        violations = {name: in_order(book, INVARIANTS[name][1](book)) for name in names}
        sums = directions(book)
    messages = sum(map(len, world.lines.values()))
    return Report(violations, sums, messages, time.perf_counter() - started)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: a large snapshot has no garbage, and the search for it takes longer than judging."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
