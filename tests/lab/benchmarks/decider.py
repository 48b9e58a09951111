"""W1: attendance from the log to its outbox, beside what a user of FastStream would write from its documentation."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.lab.benchmarks.forms.common import Order
from tests.lab.benchmarks.forms.per_event import INDEX
from tests.lab.benchmarks.load import Load, make_load
from tests.lab.benchmarks.report import Result
from tests.lab.benchmarks.stage import Stage

__all__ = ["FORMS", "Form", "decider"]

_SEED = 20_260_706
_RUN_SECONDS = 90
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Form:
    """How the work is done; slow forms get fewer persons, each with four to five events."""

    name: str
    kind: str
    persons: int
    lanes: int = 1
    """Of each process."""
    processes: int = 1


FORMS = (
    Form("A", "A", 300),
    Form("B1", "B1", 500),
    Form("ours, 1 lane", "ours", 2_500),
    Form("ours, 4 lanes", "ours", 3_000, lanes=4),
    Form("ours, 2x2 lanes", "ours", 6_000, lanes=2, processes=2),
)


TARGETS = {"A": 40.0, "B1": 6.0}
"""How many times each baseline the fastest of our forms has to reach, with four lanes at most (measured before on this
kind of machine: 31-60 and 5-10)."""


async def decider(stage: Stage, rounds: int, forms: tuple[Form, ...], progress: Callable[[str], None]) -> list[Result]:
    """Run all forms in turn, so many rounds; gives a result each, with its ratio to both baselines."""
    await stage.prepare()
    loads = {persons: make_load(persons, _SEED) for persons in sorted({form.persons for form in forms})}
    for load in loads.values():
        for_baseline = any(form.kind != "ours" and form.persons == len(load.persons) for form in forms)
        await stage.put_on(load, [INDEX] if for_baseline else [])
    results = {form.name: Result("decider", form.name, "events/s") for form in forms}
    cpu: dict[str, list[float]] = {form.name: [] for form in forms}
    for number in range(rounds):
        for form in forms:
            load, result = loads[form.persons], results[form.name]
            seen, checks = await _run(stage, form, load, f"bench-{number}-{form.kind}-{form.processes}x{form.lanes}")
            rate = seen["events"] / seen["seconds"]
            result.check(checks)
            result.rounds.append(rate)
            cpu[form.name].append(1e6 * seen["cpu_seconds"] / seen["events"])
            said = f"{rate:,.0f} events/s" if all(checks.values()) else "checks failed"
            progress(f"round {number + 1}, {form.name}: {said}")
    for name, result in results.items():
        result.notes = {"events": len(loads[_persons(forms, name)].events), "cpu_us": round(median(cpu[name]))}
        for baseline in ("A", "B1"):
            _compare(result, results.get(baseline))
    _judge([results[form.name] for form in forms if form.kind == "ours"])
    return list(results.values())


def _judge(ours: Sequence[Result]) -> None:
    """The targets stand on the fastest of our forms."""
    measured = [result for result in ours if result.median is not None]
    if measured:
        best = max(measured, key=lambda result: result.median or 0)
        for baseline, times in TARGETS.items():
            if (ratio := best.ratio[baseline]) is not None:
                best.targets[f"at_least_{times:.0f}_x_{baseline}"] = ratio >= times


def _persons(forms: tuple[Form, ...], name: str) -> int:
    return next(form.persons for form in forms if form.name == name)


def _compare(result: Result, baseline: Result | None) -> None:
    if baseline is not None and baseline.median and result.median:
        result.ratio[baseline.form] = result.median / baseline.median


async def _run(stage: Stage, form: Form, load: Load, group: str) -> tuple[dict[str, Any], dict[str, bool]]:
    name, dsn = await stage.new_database(load)
    order = Order(stage.broker.address, dsn, stage.topic(load), group, len(load.events), form.lanes, form.processes)
    try:
        orders = [replace(order, instance=number) for number in range(form.processes)]
        seen = _together(await asyncio.gather(*(_process(form.kind, one) for one in orders)))
        checks = await stage.checks(load, dsn)
        checks["each_event_applied"] = seen["events"] == len(load.events)
    finally:
        await stage.postgres.drop_database(name)
    return seen, checks


def _together(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of all processes: from the first that began to the last that ended."""
    return {
        "events": sum(report["events"] for report in reports),
        "seconds": max(report["ended"] for report in reports) - min(report["began"] for report in reports),
        "cpu_seconds": sum(report["cpu_seconds"] for report in reports),
    }


async def _process(kind: str, order: Order) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.lab.benchmarks.forms",
        kind,
        json.dumps(asdict(order)),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _RUN_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"form {kind} ended with status {process.returncode}")
    seen: dict[str, Any] = json.loads(said.splitlines()[-1])
    return seen
