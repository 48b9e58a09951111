"""Letting a process kill itself where it is wanted, among the messages that are wanted; and starting it again."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.messages import Message
from contracts.messages.service import ServiceAttested
from contracts.messages.volunteers import LinkOffered, LinkRequested
from deploy.operate.lines import Letter
from deploy.tryout.local.processes import Child
from services.chassis.base.failpoints import Failpoint
from tests.lab.faults.cell import Outcome
from tests.lab.faults.inhand import between_two_credits, in_hand, standing
from tests.lab.faults.load import LATE, Story, letters, spread
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.processes import died

__all__ = ["AT_WORK", "Strike", "begun", "recover", "strike", "struck"]

AT_WORK: Final = ("P1", "P2", "P3", "P4", "P5", "P6", "P7")
_VISITS, _WAVES = 8, 8
_LIMIT, _PAUSE = 25.0, 0.25
_HELD_BACK: Final[dict[str, tuple[type[Message], ...]]] = {
    "identity": (),
    "opportunities": (LinkOffered, LinkRequested),
}
"""All that is applied before a process is armed: nothing for the first, links for the second; for all others
everything but what is said late, so that they die among attestations, credits and receipts."""
_MOST_PASSINGS: Final = {"identity": 8, "bridge": 16, "adapter_sz": 4}
_OF_OTHERS: Final = 6
"""It dies at one of so many passings, drawn by the seed; eight waves bring more of them."""
_MOST_CALLS: Final = 3


@dataclass
class Strike:
    """A process that was to kill itself, when it was gone (monotonic), and what is still to be said."""

    name: str
    child: Child
    stories: list[Story]
    waves: list[list[Letter]]
    gone: float | None = None
    checks: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Whether it died of its own failpoint."""
        return self.gone is not None and self.child.returncode == -signal.SIGKILL


async def begun(site: Site, name: str, rng: random.Random) -> tuple[list[Story], list[list[Letter]]]:
    """Apply what comes before the process's own part of the journey; gives the stories, and that part in waves."""
    stories = plan(rng, _VISITS)
    last: list[Letter] = []
    if name in _HELD_BACK:
        before = _HELD_BACK[name]
        opening = letters(stories, only=before) if before else []
    else:
        early, last = _early(rng, stories)
        opening = [*letters(stories, but=LATE), *early]
    await site.publish(opening)
    await site.drained()
    if name not in _HELD_BACK:
        stories = await site.settled(stories)
    waves = spread(stories, _WAVES, {one.event.id for one in (*opening, *last)})
    waves[-1] += last
    return stories, waves


def _early(rng: random.Random, stories: Sequence[Story]) -> tuple[list[Letter], list[Letter]]:
    """Of half of the records with two versions the first: it is credited before the kill. And of one of these the
    second, to be said last: so at the death somebody is between two credits."""
    twice = [said for story in stories if len(said := letters([story], only=(ServiceAttested,))) == 2]
    chosen = rng.sample(twice, max(1, len(twice) // 2))
    return [first for first, _ in chosen], [chosen[0][1]]


async def strike(name: str, point: Failpoint, site: Site, rng: random.Random) -> Strike:
    """Arm it, and publish wave after wave until it is dead."""
    stories, waves = await begun(site, name, rng)
    number = rng.randint(1, _MOST_CALLS if point in ("P6", "P7") else _MOST_PASSINGS.get(name, _OF_OTHERS))
    before = await standing(site, name)
    child = await site.restart(name, FAILPOINT=f"{point}:{number}")
    done = Strike(name, child, stories, waves)
    while waves and done.gone is None:
        await site.publish(waves.pop(0))
        done.gone = await _taken(site, done)
    done.gone = done.gone or await died(child, seconds=_LIMIT)
    applied = await standing(site, name) - before
    done.notes.append(
        f"at passing {number}, {applied} messages applied since it was armed, {8 - len(waves)} waves said"
    )
    await struck(site, done, applied=applied if point == "P3" else 0)
    return done


async def _taken(site: Site, done: Strike) -> float | None:
    """Wait until the process has applied something of the last wave, or all is done that comes of this wave; gives when
    it died. Waves by the clock would be one batch on a slow machine, and the process would pass its point once."""
    before = await standing(site, done.name)
    while (gone := await died(done.child, seconds=_PAUSE)) is None:
        if await standing(site, done.name) > before or (await site.quiet.look()).within(site.leftover):
            return None
    return gone


async def struck(site: Site, done: Strike, *, applied: int = 0) -> None:
    """See what it had in hand at its death. All that came before was applied, so this is of its own part.

    ``applied``: what it had just committed counts as well.
    """
    hand = await in_hand(site, done.name)
    done.checks["struck_in_its_part"] = bool(hand) or applied > 0
    done.notes.append("in hand: " + (", ".join(f"{what} {count}" for what, count in sorted(hand.items())) or "nothing"))
    if done.name not in _HELD_BACK:
        between = await between_two_credits(site, done.stories)
        done.checks["between_two_credits"] = between > 0
        done.notes.append(f"{between} volunteers between two credits")


async def recover(site: Site, done: Strike) -> Outcome:
    """Say the rest, start it again and wait until all is quiet; the clock runs from its death."""
    await site.publish([one for wave in done.waves for one in wave])
    begun = await again(site, done)
    await site.drained()
    seconds = time.monotonic() - begun
    return Outcome({"died_there": done.killed} | site.in_time("recovered", seconds), seconds)


async def again(site: Site, done: Strike) -> float:
    """Start it again; gives when it died."""
    if not done.killed:
        await done.child.stop()
    begun = done.gone or time.monotonic()
    await site.start(done.name)
    done.notes.append(f"ready after {time.monotonic() - begun:.1f} s")
    return begun
