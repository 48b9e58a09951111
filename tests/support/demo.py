"""Running the demo as a user does, and looking at it as a stranger would."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.tryout.cli.demo import Wishes, perform
from deploy.tryout.demo.play import XIA
from deploy.tryout.local.stack import LINKAGE
from tests.support.backends import Backends

__all__ = ["REPORT", "Outcome", "parts_with_lines", "paths", "play"]

# Nothing but the report and the views that anyone may read.
_AUDITOR: Final = """
import asyncio, asyncpg, json, os
report = json.load(open(os.environ["SHUANGCHENG_REPORT"]))

async def ask(name, sql, *arguments):
    connection = await asyncpg.connect(report["databases"][name])
    try:
        return await connection.fetchval(sql, *arguments) or 0
    finally:
        await connection.close()

async def main():
    found = {"pupil": await ask("sandbox_sz", "SELECT sum(minutes)::int FROM audit_credits WHERE volunteer_ref = %r")}
    for host, home in (("gz", "sz"), ("sz", "gz")):
        served = "SELECT sum(minutes)::int FROM audit_served WHERE home = $1 AND status = 'confirmed'"
        credited = "SELECT sum(minutes)::int FROM audit_credits"
        found[host + "->" + home] = [await ask("sandbox_" + host, served, home), await ask("sandbox_" + home, credited)]
    json.dump(found, open(%r, "w"))

asyncio.run(main())
"""

_MINUTES: Final = ("confirmed", "credited", "withheld", "refused", "uncertain", "in_flight", "held")
_OPEN: Final = ("signups.refused", "held", "reviews.refused", "databases")
"""Objects whose names are not fixed: reasons, databases."""
REPORT: Final = {
    *("schema", "commit", "seed", "seconds", "campaigns", "projects", "shifts", "posts"),
    *("overbooked", "quarantined", "balanced"),
    *(f"broker.{name}" for name in ("kind", "version", "address")),
    *(f"kinds.{code}" for code in ("gz", "sz")),
    *(f"people.{name}" for name in ("linked", "unlinked")),
    *(f"signups.{name}" for name in ("requested", "confirmed", "waitlisted", "withdrawn", "refused.*")),
    *(f"directions.{way}.service_records" for way in ("gz->sz", "sz->gz")),
    *(f"directions.{way}.minutes.{name}" for way in ("gz->sz", "sz->gz") for name in _MINUTES),
    *(f"held.*.{name}" for name in ("records", "minutes")),
    *(f"reviews.{name}" for name in ("approved", "rejected", "refused.*")),
    *(f"faults[].{name}" for name in ("kind", "target", "at", "recovered_seconds")),
    "databases.*",
}
"""Every key of the report, as the demo's users were promised it."""


@dataclass(frozen=True)
class Outcome:
    """Exit status, report, and what an auditor found while all was up."""

    status: int
    report: dict[str, Any]
    found: dict[str, Any]

    def agrees(self) -> None:
        """What the report says of each direction is what the registries' own views add up to."""
        for way in ("gz->sz", "sz->gz"):
            minutes = self.report["directions"][way]["minutes"]
            assert self.found[way] == [minutes["confirmed"], minutes["credited"]], way
            assert minutes["in_flight"] == minutes["uncertain"] == 0, way


def broker_of(backends: Backends) -> str:
    """The kind that the session has chosen; one at an address holds what other tests wrote to the same topics."""
    if backends.broker is None:
        pytest.fail(backends.broker_says)
    return backends.broker.kind if backends.broker.kind in ("java", "docker") else "embedded"


async def play(backends: Backends, folder: Path, *, then: str = "", **wishes: Any) -> Outcome:
    """Perform the demo; ``then`` is a command that runs after the auditor, while all is up."""
    auditor, found, report = folder / "auditor.py", folder / "found.json", folder / "report.json"
    auditor.write_text(_AUDITOR % (XIA[1], str(found)), "utf-8")
    command = f"{sys.executable} {auditor}" + (f" && {then}" if then else "")
    usual: dict[str, Any] = {"people": 40, "broker": broker_of(backends)}
    status = await perform(Wishes(json_file=report, then=command, **(usual | wishes)))
    return Outcome(status, json.loads(report.read_text("utf-8")), json.loads(found.read_text("utf-8")))


def parts_with_lines(folder: Path) -> set[str]:
    """Whose lines stand in the log of a demo that kills nothing. It runs in one process; each line says its part."""
    lines = (folder / "logs" / f"{LINKAGE}.log").read_text("utf-8").splitlines()
    return {json.loads(line)["part"] for line in lines if line.startswith("{") and '"part"' in line}


def paths(document: Any, path: str = "") -> Iterator[str]:
    """Where each value of a JSON document stands; ``*`` for names that are not fixed."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from paths(value, f"{path}.{'*' if path in _OPEN else name}".lstrip("."))
    elif isinstance(document, list):
        for value in document:
            yield from paths(value, f"{path}[]")
    else:
        yield path
