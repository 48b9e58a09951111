"""State and memory of processes, seen from outside (Linux)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from deploy.tryout.local.processes import Child

__all__ = ["count_peak_from_here", "held_mebibytes", "lives", "numbers", "peak_mebibytes"]


def lives(pid: int) -> bool:
    """Whether a process runs. A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def numbers(file: Path) -> list[int]:
    """The process ids that a command wrote into a file; none while there is no file."""
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def peak_mebibytes(pid: int) -> float:
    """The most memory that a process held (VmHWM), ever or since ``count_peak_from_here``."""
    return _mebibytes(pid, "VmHWM")


def held_mebibytes(pid: int) -> float:
    """The memory that a process holds now (VmRSS)."""
    return _mebibytes(pid, "VmRSS")


def count_peak_from_here(pid: int) -> None:
    """Forget how much memory a process held before."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _mebibytes(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what)) / 1024


async def died(child: Child, *, seconds: float) -> float | None:
    """When a process ended (monotonic seconds), or None if it did not end in time."""
    try:
        await asyncio.wait_for(child.wait(), seconds)
    except TimeoutError:
        return None
    return time.monotonic()
