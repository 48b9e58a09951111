"""The three parts of an adapter that call the registry's system, and their state for health and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from services.adapters.rules import one_line
from services.adapters.states import Waiting
from services.chassis.base.backoff import Backoff
from services.chassis.base.logs import Episode
from services.chassis.base.metrics import Figure
from services.chassis.service import Figures

__all__ = ["PARTS", "Part", "figures"]

PARTS: Final = ("calls", "notices", "listening")
_SHORTEST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 5.0
_ABOUT: Final = {
    "system_away_seconds": "Seconds for which the registry's system has not taken this; 0 while it does",
    "system_oldest_due_seconds": "Age of the oldest row that is due to the registry's system",
    "system_due_rows": "Rows that are due to the registry's system",
}


class Part:
    """One part. ``away``: the system takes nothing from it. ``interrupted``: the part itself fails.

    A system that is away is left in peace, longer each time: ``backoff``. This is the system's state, not that of
    single calls.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.away = Episode("system away", name=name)
        self.interrupted = Episode("calling interrupted", name=name)
        self.backoff = Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF)

    def takes_nothing(self, detail: str, seconds: float = 0.0) -> None:
        """The system took nothing. ``seconds``: for how long it asked to be left in peace; 0 where it did not ask."""
        if not self.backoff.left:  # calls that were under way when the backoff began lengthen it only if they ask
            self.backoff.failed()
            self.away.failed(one_line(detail))
        self.backoff.at_least(seconds)

    def answers(self) -> None:
        """The system answers again."""
        self.backoff.over()
        self.away.over()


def figures(parts: Sequence[Part], waiting: Mapping[str, Waiting]) -> Figures:
    """Health and metrics of all parts. Where a system is away, the process is still ready: it keeps all rows that are
    due."""
    state: dict[str, Any] = {}
    gauges: list[Figure] = []
    for part in parts:
        due = waiting.get(part.name, Waiting(0, 0.0))
        about = (("part", part.name),)
        state[part.name] = {"system": _system(part.away), "due": due.rows, "oldest_due_seconds": due.seconds}
        gauges += [
            Figure("system_away_seconds", round(part.away.seconds, 1), about, _ABOUT["system_away_seconds"]),
            Figure("system_due_rows", due.rows, about, _ABOUT["system_due_rows"]),
            Figure("system_oldest_due_seconds", due.seconds, about, _ABOUT["system_oldest_due_seconds"]),
        ]
    return Figures({"system": state}, gauges)


def _system(away: Episode) -> str:
    if away.since is None:
        return "answers"
    since = datetime.fromtimestamp(away.since, UTC).isoformat(timespec="seconds")
    return f"away since {since}, tried {away.count} times: {away.detail}"
