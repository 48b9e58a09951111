"""Who takes part in the course that services are restored from: beside the usual load one of every kind of story."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from contracts.messages import Message
from contracts.messages.volunteers import LinkBroken, LinkRestored
from contracts.partitioner import partition_for
from contracts.topics import OPPORTUNITIES_COMMANDS
from tests.lab.faults.load import Record, Signups, Story, new_mark
from tests.lab.faults.scenes import plan
from tests.support.journey import DAY, Visit

__all__ = ["EARLY", "Cast", "Line", "project_of"]

EARLY: Final = DAY - timedelta(days=10)
_LAST: Final = OPPORTUNITIES_COMMANDS.partitions - 1
"""The first and the last partition of a topic are never read by the same one of two lanes."""
_VISITS: Final = 16
_CANDIDATES: Final = 12

Line = tuple[str, Message]


@dataclass
class Cast:
    """Everybody by the scene that they play in."""

    rng: random.Random
    usual: list[Story] = field(init=False)

    def __post_init__(self) -> None:
        self.usual = plan(self.rng, _VISITS)
        self.first = self._visit("sz", "gz", start=DAY + timedelta(days=15))
        self.second = self._visit("sz", "gz", start=self.first.start, where=self.first.mark)
        self.appended_first = self._visit("gz", "sz", where=self._project("sz", 0))
        self.decided_first = self._visit(
            "gz",
            "sz",
            who=self.appended_first.mark,
            where=self._project("sz", _LAST),
        )
        self.unheard = self._visit("sz", "gz")
        where = self._project("gz", _LAST)
        self.leaving = [self._visit("sz", "gz", where=where) for _ in range(_CANDIDATES)]
        self.torn = self._visit("gz", "sz")
        self.held = self._visit("sz", "gz")
        self.evidenced = self._visit("gz", "sz")
        self.hasty = self._visit("sz", "gz")
        self.nobody = self._visit("sz", "gz")
        self.uninvited = self._visit("gz", "sz")
        self.mistaken = self._visit("sz", "gz")

    @property
    def linked(self) -> list[Visit]:
        """Those who link at the begin, beside the usual load."""
        race = [self.appended_first, self.unheard, *self.leaving]
        return [self.first, self.second, *race, self.torn, self.held, self.evidenced, self.uninvited]

    @property
    def served(self) -> list[Visit]:
        """Those whose service is attested in the ordinary way, and how it ends is a story of its own."""
        return [self.unheard, self.torn, self.held, self.evidenced]

    def mistake(self) -> list[Line]:
        """A link that is asked for with another code than was offered."""
        offered, _ = self.mistaken.link()
        other = Visit("sz", "gz", mark=self.mistaken.mark, code=f"{self.rng.getrandbits(192):048x}")
        return [offered, other.link()[1]]

    def published(self) -> list[Line]:
        """All shifts of these scenes."""
        own = [self.appended_first, self.decided_first, *self.served, self.uninvited]
        lines = [line for visit in own for line in visit.publish()]
        return [*lines, *self.first.publish(1, 1), *self.leaving[0].publish(_CANDIDATES)]

    def signed_up(self) -> list[Line]:
        """Everybody who signs up in the ordinary way."""
        return [visit.sign_up() for visit in (*self.served, *self.leaving)]

    def returning(self) -> list[Line]:
        """The first of a line signs up, gives back and signs up again, all of it before the second one comes."""
        return [self.first.sign_up(), self.first.give_back(), self.first.sign_up()]

    def broken(self) -> Line:
        """Her home lets the link rest."""
        return "gz", LinkBroken(volunteer_ref=self.torn.home_ref, registry="sz", reason="volunteer_asked")

    def restored(self) -> Line:
        """Her home takes it up again."""
        return "gz", LinkRestored(volunteer_ref=self.torn.home_ref, registry="sz")

    def stories(self, left: Visit) -> list[Story]:
        """How all this ends; ``left`` is she of ``leaving`` who gave her post back when she had served."""
        line = Signups("sz", "gz", (self.first.signup_ref, self.second.signup_ref), {"post": 1, "waitlisted": 1})
        clash = Signups(
            "gz", "sz", (self.appended_first.signup_ref, self.decided_first.signup_ref), {"post": 1, "clash": 1}
        )
        gone = Signups("sz", "gz", (left.signup_ref,), {"withdrawn": 1})
        return [
            Story(self.first, (), signups=(line,)),
            Story(self.appended_first, (), signups=(clash,)),
            Story(left, (), records=(Record.of(left, 100),), signups=(gone,)),
            Story(self.unheard, (), records=(Record.of(self.unheard, 90),), consent_version=2, linked_before=True),
            Story(self.torn, (), records=(Record.of(self.torn, 80),)),
            Story(self.held, (), records=(Record.of(self.held, 0, "held"),)),
            Story(self.evidenced, (), records=(Record.of(self.evidenced, 70),)),
            Story(self.hasty, (), records=(Record.of(self.hasty, 60),)),
        ]

    def _visit(self, home: str, host: str, **more: object) -> Visit:
        code = f"{self.rng.getrandbits(192):048x}"
        return Visit(home, host, mark=new_mark(self.rng), code=code, **more)  # type: ignore[arg-type]

    def _project(self, host: str, wanted: int) -> str:
        """A mark whose project stands in this partition."""
        while True:
            mark = new_mark(self.rng)
            if partition_for(f"{host}:p-{mark}", OPPORTUNITIES_COMMANDS.partitions) == wanted:
                return mark


def project_of(visit: Visit) -> str:
    """The key under which everything about the project of this visit is said."""
    return f"{visit.host}:{visit.shift['project_ref']}"
