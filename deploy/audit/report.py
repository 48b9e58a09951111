"""The verdict: each invariant, held or broken, with its first findings."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

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

__all__ = ["INVARIANTS", "Invariant", "Report", "check"]


class Invariant(NamedTuple):
    """What must hold, who finds where it does not, and what an operator does then."""

    meaning: str
    find: Callable[[Book], Iterator[Violation]]
    todo: str


_RESTORE: Final = "restore this database from a backup, so that it replays the log (RUNBOOKS, A database is lost)"
_REPORT: Final = "keep logs and databases as they are, and report it: this is a fault of ours"
INVARIANTS: Final[dict[str, Invariant]] = {
    "I1": Invariant(
        "conservation",
        conservation,
        "compare the record in both registries' ledgers; the host corrects the minutes by its next version",
    ),
    "I2": Invariant("at most once", at_most_once, "ask the home to take back the posting that is too much"),
    "I4": Invariant(
        "no overlap",
        no_overlap,
        "ask both hosts where she was; the host that is wrong withdraws the sign-up or revokes the record",
    ),
    "I5": Invariant("no overbooking", no_overbooking, "ask the host to allot more posts, or to withdraw sign-ups"),
    "I6": Invariant("order", order, _REPORT),
    "I7": Invariant(
        "answered",
        answered,
        "see whether the service that answers is ready (/health/ready), and list its messages that are set aside",
    ),
    "I8": Invariant("nothing lost", nothing_lost, _RESTORE),
    "I9": Invariant(
        "nothing from nowhere", nothing_from_nowhere, "find out which other party can write to this topic or ledger"
    ),
    "I12": Invariant("replay", replay, _RESTORE),
    "I13": Invariant(
        "consent",
        consent,
        "tell home and host which messages were sent without consent; then report it: this is a fault of ours",
    ),
    "I14": Invariant(
        "canaries",
        canaries,
        "treat it as a leak: find out which party wrote the word there, and which parties can read it",
    ),
    "I15": Invariant(
        "poison", poison, "run `shuangcheng set-aside list --service NAME`; then release or discard each message"
    ),
    "I16": Invariant(
        "drained", drained, "run this again later; if the finding stays, /health/ready of the named service says why"
    ),
    "I17": Invariant("sanity", sanity, "ask the host to correct the record by its next version"),
    "I19": Invariant("minors", minors, "tell the host and the home: the minor may not have this post"),
}


@dataclass(frozen=True)
class Report:
    """The findings, by invariant, in the order of the logs, each once."""

    violations: dict[str, list[Violation]]
    directions: dict[str, dict[str, int]]
    messages: int
    seconds: float
    unseen: Sequence[str] = ()
    """Registries whose own books were not seen: of them only what they said on the log was judged."""

    @property
    def broken(self) -> set[str]:
        """The names of invariants that do not hold."""
        return {name for name, found in self.violations.items() if found}

    @property
    def held(self) -> bool:
        """Whether all hold."""
        return not self.broken

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
            "schema": 2,
            "verdict": "held" if self.held else "broken",
            "messages": self.messages,
            "seconds": round(self.seconds, 2),
            "books_not_seen": list(self.unseen),
            "directions": self.directions,
            "invariants": {
                name: {
                    "meaning": INVARIANTS[name].meaning,
                    "verdict": "broken" if found else "held",
                    "todo": INVARIANTS[name].todo if found else None,
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
            invariant = INVARIANTS[name]
            lines.append(f"  {name:<4} {invariant.meaning:<22} {f'BROKEN, {len(found)} times' if found else 'held'}")
            lines += [f"         {violation}" for violation in found[:3]]
            lines += [f"         What to do: {invariant.todo}"] if found else []
        for direction, sums in self.directions.items():
            lines.append(f"  {direction}: " + ", ".join(f"{name} {sum_}" for name, sum_ in sums.items()))
        if self.unseen:
            books = f"the books of {', '.join(self.unseen)} were not seen"
            lines.append(f"  {books}: of these registries only their messages on the log were judged")
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
        violations = {name: in_order(book, INVARIANTS[name].find(book)) for name in names}
        sums = directions(book)
    messages = sum(map(len, world.lines.values()))
    return Report(violations, sums, messages, time.perf_counter() - started, book.unseen)


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
