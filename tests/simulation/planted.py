"""All safeguards that are taken away, and what a search has found of each; see the table in README.md beside this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

from tests.simulation.failing import failing
from tests.simulation.rare import RARE
from tests.simulation.removing import Planted, planted
from tests.simulation.run import failure_of
from tests.simulation.safeguards import SAFEGUARDS
from tests.simulation.steps import steps_of

__all__ = ["FOUND", "PLANTED", "README", "Found", "keep", "known", "search", "table"]

PLANTED: Final[dict[str, Planted]] = SAFEGUARDS | RARE
FOUND: Final = Path(__file__).with_name("found.json")
README: Final = FOUND.with_name("README.md")
_RUNS: Final = 150
"""So many runs at most make a seed smaller."""


class Found(NamedTuple):
    """``seed``: the first that fails without the safeguard. Of the first ``tried`` seeds ``shows`` failed; a search
    stops where that is one of a hundred for certain. ``steps``: how many are left of the first when it is made smaller;
    None where nobody has made it smaller yet.
    """

    seed: int
    shows: int
    tried: int
    steps: int | None = None

    @property
    def rare(self) -> bool:
        """Less than one seed of a hundred shows it."""
        return self.shows * 100 < self.tried


def search(name: str, seeds: int, runs: int = _RUNS) -> Found | None:
    """Run seeds without this safeguard; None where none of them fails. ``runs`` make the first smaller."""
    shown: list[int] = []
    tried = 0
    with planted(PLANTED[name]):
        while tried < seeds and len(shown) <= seeds // 100:
            if failure_of(tried, steps_of(tried)) is not None:
                shown.append(tried)
            tried += 1
        if not shown:
            return None
        smaller = failing(shown[0], most=runs)
        assert smaller is not None
    return Found(shown[0], len(shown), tried, len(smaller.kept))


def known() -> dict[str, Found]:
    """What the last search found."""
    return {name: Found(**found) for name, found in json.loads(FOUND.read_text()).items()}


def keep(found: dict[str, Found]) -> None:
    """Keep what a search has found, for those that still stand in the tables."""
    left = {name: found[name]._asdict() for name in PLANTED if name in found}
    FOUND.write_text(json.dumps(left, indent=1) + "\n")
    README.write_text(table(found))


def table(found: dict[str, Found]) -> str:
    """For readers: a row a safeguard, those that show the least last."""
    head = (
        '# Safeguards that were taken away\n\nMade by `make simulate ARGS="--planted --find"`. Each is found by the '
        "first seed named; that many seeds and one were run. *Steps*: how many are left of the seed when it is made "
        "smaller. *Share*: of how many seeds how many show it. Of 500 seeds only those were run in which the changed "
        "text decides otherwise: all others are the same runs. Of 2,200 and of 10,000 all were run, before the "
        "safeguard was there.\n\n"
        "| taken away | without it | first seed | steps | share |\n|---|---|---|---|---|\n"
    )
    rows = sorted((name for name in PLANTED if name in found), key=lambda name: -found[name].shows / found[name].tried)
    return head + "".join(_row(name, found[name]) for name in rows)


def _row(name: str, found: Found) -> str:
    share = f"{found.shows} of {found.tried}" + (", under 1 %" if found.rare else "")
    return f"| {name} | {PLANTED[name].what} | {found.seed} | {found.steps or '-'} | {share} |\n"
