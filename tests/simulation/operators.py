"""What operators do in a run: they pause registries and resume them, and release messages whose decisions raised."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from aiokafka import TopicPartition

from contracts.topics import INBOUND
from services.bridge.states import Pause
from services.chassis.batch.set_aside import Aside
from tests.simulation.registry import Broken
from tests.support.linkage import Member, at_once
from tests.support.pausing import Seen, end_pauses, pause, resume

if TYPE_CHECKING:
    from tests.simulation.run import Run

__all__ = ["Act", "Operators", "release"]

Act: TypeAlias = Callable[[Member, str], Coroutine[Any, Any, None]]


class Operators:
    """``turns``: for how long they still keep registries paused."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.turns: dict[str, int] = {}
        self._seen: Seen = {}
        self._said: dict[str, dict[TopicPartition, int]] = {}
        """Where the topics of registries ended when they were resumed."""

    def pause(self, code: str, turns: int) -> None:
        """Pause a registry, unless it is paused."""
        if code not in self.turns:
            self.turns[code] = turns
            self._run.operate(pause, code)
            self._run.tell(f"an operator pauses {code}")

    def turn(self) -> None:
        """Time goes on: whoever was paused for long enough is resumed."""
        for code in list(self.turns):
            self.turns[code] -= 1
            if self.turns[code] < 0:
                self.resume(code)

    def resume(self, *codes: str) -> None:
        """Resume these registries, or all."""
        run = self._run
        for code in codes or list(self.turns):
            del self.turns[code]
            places = [tp for entry in INBOUND for tp in run.log.used.get(entry.of(code).name, ())]
            self._said[code] = {tp: run.log.end(tp) for tp in places}
            run.operate(resume, code)
            run.tell(f"an operator resumes {code}")

    @property
    def ending(self) -> bool:
        """Whether a pause has not ended yet."""
        return bool(self._run.watch.rows("bridge", Pause))

    def end_pauses(self) -> list[str]:
        """One look of the border's task; gives the registries whose pause it ended. Raises ``Broken``."""
        border = self._run.linkage.members["bridge"]
        ended = at_once(end_pauses(border, self._seen))
        for code in ended:
            applied = border.lanes[f"bridge.{code}"].next
            if any(applied[tp] < end for tp, end in self._said[code].items()):
                raise Broken(f"the pause of {code} ended before all was applied that it said in it")
        return ended

    def border_begins(self) -> None:
        """A process of the border sees resumptions anew."""
        self._seen.clear()


async def release(member: Member) -> None:
    """What an operator does about messages whose decisions raised: they are decided again, in their lines."""
    raised: list[Aside] = [row for row in await member.base.set_aside() if row.reason == "raised"]
    if raised:
        await member.release(raised)
