"""W3: how soon a linkage on the embedded pair is ready, how much memory it takes, and how busy it is when idle.

Beside each other: all parts in one process, and a process each. What counts is ours: services, adapter, sandboxes and
the operators' page, without broker, PostgreSQL and the launcher. Memory is the processes' proportional share (PSS), so
that what they have in common counts once.
"""

from __future__ import annotations

import asyncio
import compileall
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import contracts
import deploy
import services
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from tests.lab.benchmarks.report import Result

__all__ = ["start"]

_FORMS: Final = {"one process": True, "processes": False}
_REST: Final = 5.0
"""Seconds between ready and idle: what the start has begun comes to an end."""
_IDLE: Final = 20.0
_LIMITS: Final = {"s until ready": 5.0, "MB": 350.0, "% of a core, idle": 25.0}
"""Targets of the linkage in one process, by unit."""


class _Figures(NamedTuple):
    seconds: float
    mebibytes: float
    percent: float
    in_form: bool
    """Whether all parts ran, in so many processes as the form says."""


async def start(rounds: int, progress: Callable[[str], None]) -> list[Result]:
    """Start each form so many times in turn, and measure."""
    os.environ.pop("SHUANGCHENG_POSTGRES", None)  # the embedded server is a part of what is measured
    _compile()
    found: dict[str, list[_Figures]] = {name: [] for name in _FORMS}
    for number in range(rounds):
        for name, together in _FORMS.items():
            found[name].append(figures := await _measured(together))
            progress(f"start {number + 1}: {name}: {', '.join(map('{:.1f} {}'.format, figures[:3], _LIMITS))}")
    return [
        Result(
            "start",
            name,
            unit,
            rounds=[figures[place] for figures in each],
            checks={"in_form": all(figures.in_form for figures in each)},
            targets={f"under_{limit:g}": median(figures[place] for figures in each) < limit} if _FORMS[name] else {},
        )
        for name, each in found.items()
        for place, (unit, limit) in enumerate(_LIMITS.items())
    ]


def _compile() -> None:
    """Compile our modules, as an installation does. With PYTHONDONTWRITEBYTECODE set, each start from a tree would
    compile all of them: half a second of a processor."""
    for package in (contracts, deploy, services):
        compileall.compile_dir(Path(str(package.__file__)).parent, quiet=2)


async def _measured(together: bool) -> _Figures:
    begun = time.perf_counter()
    async with Stack(StackOptions(broker="embedded", one_process=together, pages=True)) as stack:
        ready = time.perf_counter() - begun
        await asyncio.sleep(_REST)
        pids = [child.pid for child in stack.processes.values() if child.pid is not None]
        before, clock = _cpu_seconds(pids), time.perf_counter()
        await asyncio.sleep(_IDLE)
        busy = (_cpu_seconds(pids) - before) / (time.perf_counter() - clock)
        in_form = len(pids) == (1 if together else len(stack.specs)) and not stack.deaths
        return _Figures(ready, sum(map(_share_of_memory, pids)), 100 * busy, in_form)


def _cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes so far."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def _share_of_memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
