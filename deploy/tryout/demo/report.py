"""The report. All of it is read back from services and registries at the end."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import deploy
from deploy.tryout.demo.books import Books
from deploy.tryout.demo.verdict import MINUTES, Audit, failures

__all__ = ["Fault", "Report", "Setting", "read"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on purpose, and how long it took until all was as if it had not happened."""

    kind: str
    target: str
    at: str
    recovered_seconds: float


@dataclass(frozen=True)
class Setting:
    """The options of the run, and the broker and systems on which it ran."""

    seed: int
    broker: Mapping[str, str]
    kinds: Mapping[str, str]
    databases: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """``document`` is the JSON. The verdict follows from ``audits`` and ``broken``; ``notes`` are shown with it."""

    document: dict[str, Any]
    audits: dict[str, Audit] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def read(
    books: Books,
    setting: Setting,
    faults: Sequence[Fault],
    *,
    seconds: float,
    stuck: str | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Read all services and registries, and judge. ``stuck`` says which part did not come to an end."""
    crossing, posts = await books.get("bridge", "/figures"), await books.get("opportunities", "/figures")
    turned_away = await books.refused_at_the_border()
    sums = {code: await books.sums(code) for code in setting.kinds}
    audits = {
        f"{host}->{home}": Audit(_served(sums[host], home), sums[home]["credits"]["minutes"])
        for host, home in permutations(setting.kinds, 2)
    }
    # The bridge tells only directions in which somebody served. The other directions count as zero, and are judged too.
    directions = {direction: _nothing() for direction in audits} | crossing["directions"]
    minutes = {direction: one["minutes"] for direction, one in directions.items()}
    broken = failures(minutes, audits, overbooked=posts["overbooked"], stuck=stuck)
    broken += await books.differences(setting.kinds)
    document = {
        "schema": SCHEMA,
        "commit": await asyncio.to_thread(_commit),
        "seed": setting.seed,
        "seconds": round(seconds, 1),
        "broker": dict(setting.broker),
        "kinds": dict(setting.kinds),
        "people": {"linked": crossing["people"]["linked"], "unlinked": sum(one["unlinked"] for one in sums.values())},
        **{name: posts[name] for name in ("campaigns", "projects", "shifts", "posts")},
        "signups": {
            "requested": posts["requested"] + sum(turned_away.values()),
            **{name: posts[name] for name in ("confirmed", "waitlisted", "withdrawn")},
            "refused": dict(sorted((Counter(turned_away) + Counter(posts["refused"])).items())),
        },
        "directions": directions,
        "held": await books.held(),
        "reviews": await books.reviews(),
        "faults": [asdict(fault) for fault in faults],
        "overbooked": posts["overbooked"],
        "quarantined": await books.quarantined(),
        "databases": dict(setting.databases),
        "balanced": not broken,
    }
    return Report(document, audits, broken, list(notes))


def _served(sums: Mapping[str, Any], home: str) -> int:
    rows = sums["served"]
    return sum(row["minutes"] for row in rows if row["home"] == home and row["status"] == "confirmed")


def _nothing() -> dict[str, Any]:
    return {"service_records": 0, "minutes": dict.fromkeys(MINUTES, 0)}


def _commit() -> str:
    root = Path(deploy.__file__).parent.parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else "unknown"
