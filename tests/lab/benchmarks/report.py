"""What a run of the benchmarks says: one JSON document, and a table for people."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Result", "document", "table"]

_ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class Result:
    """One form of one workload.

    ``ratio`` is how many times the baselines' median it reaches, None where there is no baseline. ``checks`` say
    whether the work was done right: without them there is no figure. ``targets`` say whether it was fast enough.
    """

    id: str
    form: str
    unit: str
    rounds: list[float] = field(default_factory=list)
    ratio: dict[str, float | None] = field(default_factory=lambda: {"A": None, "B1": None})
    checks: dict[str, bool] = field(default_factory=dict)
    targets: dict[str, bool] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every check of every round held; otherwise no figure is given."""
        return bool(self.checks) and all(self.checks.values())

    @property
    def median(self) -> float | None:
        """Median of the rounds."""
        return median(self.rounds) if self.rounds and self.holds else None

    def check(self, found: dict[str, bool]) -> None:
        """Add a round's checks: each must hold in every round."""
        for name, held in found.items():
            self.checks[name] = self.checks.get(name, True) and held

    def as_json(self) -> dict[str, Any]:
        """The row of the document; a failed check takes the figures away."""
        figure = self.median
        return {
            "id": self.id,
            "form": self.form,
            "rounds": [_short(value) for value in self.rounds] if figure is not None else [],
            "median": None if figure is None else _short(figure),
            "unit": self.unit,
            "ratio": {name: None if value is None else round(value, 2) for name, value in self.ratio.items()},
            "checks": self.checks | self.targets,
            **({"notes": self.notes} if self.notes else {}),
        }


def _short(value: float) -> float:
    return round(value, 1 if value < 1000 else 0)


def document(results: Sequence[Result], broker: str, database: str, load_before: float) -> dict[str, Any]:
    """The whole document."""
    return {
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "database": database,
            "load_before": round(load_before, 2),
            "load_after": round(os.getloadavg()[0], 2),
        },
        "broker": broker,
        "commit": _commit(),
        "workloads": [result.as_json() for result in results],
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _commit() -> str:
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty"],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return git.stdout.strip()


def table(results: Sequence[Result]) -> str:
    """Ratio first, then the figure with its spread; a form whose checks failed has none."""
    lines = [f"{'workload':<10} {'form':<14} {'x A':>6} {'x B1':>6} {'median':>9}  {'min-max':<15} unit"]
    for result in results:
        start = f"{result.id:<10} {result.form:<14}"
        if result.median is None:
            failed = ", ".join(name for name, held in result.checks.items() if not held) or "nothing was checked"
            lines.append(f"{start} no figure: {failed}")
            continue
        ratios = " ".join("" if value is None else f"{value:.1f}".rjust(6) for value in result.ratio.values()).rjust(13)
        spread = f"{min(result.rounds):,.0f}-{max(result.rounds):,.0f}"
        notes = "  ".join(f"{name} {value}" for name, value in result.notes.items())
        missed = "".join(f"  MISSED {name}" for name, reached in result.targets.items() if not reached)
        lines.append(f"{start} {ratios} {result.median:>9,.0f}  {spread:<15} {result.unit}  {notes}{missed}".rstrip())
    return "\n".join(lines)
