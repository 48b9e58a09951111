"""The last hour as a picture: minutes credited as bars by direction, latency as a line. Figures alone, no SVG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

__all__ = ["HEIGHT", "WIDTH", "Bar", "Plot", "plot"]

WIDTH: Final = 660
HEIGHT: Final = 160
MINUTES: Final = 60
_STEP: Final = WIDTH / MINUTES


@dataclass(frozen=True, slots=True)
class Bar:
    """A direction's minutes of service credited in one minute; ``direction`` is its place in ``Plot.directions``."""

    x: float
    y: float
    width: float
    height: float
    direction: int


@dataclass(frozen=True, slots=True)
class Plot:
    """The picture. All numbers are in its units, WIDTH by HEIGHT; the newest minute is at the right."""

    directions: list[tuple[str, str]]
    bars: list[Bar]
    dots: list[tuple[float, float]]
    """Median latencies, from left to right."""
    most_minutes: int
    most_seconds: float
    rows: list[dict[str, Any]]
    """What is drawn: minute, host, home, transfers, minutes, median, slowest."""

    @property
    def line(self) -> str:
        """Points of the line through all dots; empty where nothing was credited."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.dots)


def plot(by_minute: Iterable[Mapping[str, Any]], now: datetime) -> Plot:
    """Draw what the bridge tells of each minute and direction."""
    last = now.replace(second=0, microsecond=0)
    rows = [dict(row) for row in by_minute]
    directions = sorted({(row["host"], row["home"]) for row in rows})
    columns: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        column = MINUTES - 1 - (last - datetime.fromisoformat(row["minute"])) // timedelta(minutes=1)
        if 0 <= column < MINUTES:
            columns[column].append(row)
    # A correction that takes minutes back has no bar; it is in the table.
    sums = [sum(max(0, row["minutes"]) for row in column) for column in columns.values()]
    most_minutes = max([1, *sums])
    # Several directions of one minute have one dot, that of the slowest direction: an operator should look at that.
    medians = {
        at: max(row["median"] for row in column if row["median"] is not None)
        for at, column in sorted(columns.items())
        if any(row["median"] is not None for row in column)
    }
    most_seconds = max([0.1, *medians.values()])
    bars = [bar for at, column in columns.items() for bar in _stack(at, column, directions, most_minutes)]
    dots = [(_middle(at), HEIGHT * (1 - seconds / most_seconds)) for at, seconds in medians.items()]
    return Plot(directions, bars, dots, most_minutes, most_seconds, rows)


def _stack(at: int, column: Iterable[Mapping[str, Any]], directions: list[tuple[str, str]], most: int) -> Iterable[Bar]:
    top = float(HEIGHT)
    for row in sorted(column, key=lambda row: (row["host"], row["home"])):
        height = HEIGHT * max(0, row["minutes"]) / most
        top -= height
        if height:
            yield Bar(at * _STEP + 1, top, _STEP - 2, height, directions.index((row["host"], row["home"])))


def _middle(column: int) -> float:
    return (column + 0.5) * _STEP
