"""Rows of the report: one a cell, with what it takes to repeat it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.chassis.base.failpoints import NAMES

__all__ = ["LONGEST_SECONDS", "Row", "commit", "document", "line"]

LONGEST_SECONDS = 25 * 60
"""So long at most for all cells, on two cores that nobody else uses."""


@dataclass
class Row:
    """A cell and its verdict: ``green``, ``red``, or ``n/a`` with the reason in ``notes``."""

    id: str
    service: str
    fault: str
    seed: int
    commit: str
    seconds: float = 0.0
    recovered_seconds: float | None = None
    checks: dict[str, bool] = field(default_factory=dict)
    verdict: str = "n/a"
    notes: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Green when there is a check and none fails."""
        self.verdict = "green" if self.checks and all(self.checks.values()) else "red"


def commit() -> str:
    """The commit of this checkout, with ``+`` when something is changed; ``unknown`` outside of one."""
    root = Path(__file__).parent
    try:
        asked = {"capture_output": True, "text": True, "check": True, "cwd": root, "timeout": 10}
        name = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **asked).stdout.strip()  # type: ignore[call-overload]
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **asked).stdout.strip()  # type: ignore[call-overload]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{name}+" if changed else str(name)


def line(row: Row) -> str:
    """One row for people; what failed stands below it."""
    recovered = "" if row.recovered_seconds is None else f", recovered after {row.recovered_seconds:.1f} s"
    text = f"{row.verdict:<6} {row.id:<40} {row.seconds:5.1f} s{recovered}"
    if row.verdict == "n/a":
        return f"{row.verdict:<6} {row.id:<40} {'; '.join(row.notes)}"
    if row.verdict == "green":
        return text
    failed = [name for name, held in row.checks.items() if not held]
    details = "".join(f"\n       {note}" for note in row.notes[:12])
    return f"{text}\n       failed: {', '.join(failed)}{details}\n       again: --only {row.id} --seed {row.seed}"


def document(rows: Sequence[Row], *, broker: dict[str, str], seconds: float, load_before: float) -> dict[str, Any]:
    """The whole report."""
    count = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("green", "red", "n/a")}
    return {
        "schema": 1,
        "broker": broker,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load_before": round(load_before, 1)},
        "seconds": round(seconds, 1),
        "in_time": seconds < LONGEST_SECONDS,
        "failpoints": list(NAMES),
        "verdict": "red" if count["red"] else "green",
        "count": count,
        "rows": [asdict(row) for row in rows],
    }


def write(path: Path, whole: dict[str, Any]) -> None:
    """The report as a file."""
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
