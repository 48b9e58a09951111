"""All cells, in the order in which they are done."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from tests.lab.faults.answers import answer_cells
from tests.lab.faults.cell import Cell
from tests.lab.faults.crowding import crowd_cells
from tests.lab.faults.disk import disk_cells
from tests.lab.faults.flood import flood_cells
from tests.lab.faults.homes import down_cells
from tests.lab.faults.instances import instance_cells
from tests.lab.faults.kills import matrix
from tests.lab.faults.missing import missing_cells
from tests.lab.faults.otherlogs import log_cells
from tests.lab.faults.outages import outages
from tests.lab.faults.poison import poison_cells
from tests.lab.faults.raised import raised_cells
from tests.lab.faults.restored import restored_cells
from tests.lab.faults.strangers import stranger_cells
from tests.lab.faults.unsure import unsure_cells

__all__ = ["cells", "chosen"]

LOG_SECONDS: Final = 20.0
"""A slice has one of the cells that cut a topic, if it takes no longer: the last, and beside the seconds asked for."""


def cells() -> list[Cell]:
    """Every cell of the report. The great loads come late, for every judgement from outside replays all topics.

    Services are put back first. An empty database reads whole logs, and a service decides again as it did only under
    the registries' files of that time, which other cells change, and where one process of it lived (CONTRIBUTING, what
    is known and open of a restored service).
    """
    return [
        *restored_cells(),
        *matrix(),
        *outages(),
        *disk_cells(),
        *instance_cells(),
        *unsure_cells(),
        *answer_cells(),
        *raised_cells(),
        *poison_cells(),
        *stranger_cells(),
        *crowd_cells(),
        *flood_cells(),
        *down_cells(),
        *missing_cells(),
        *log_cells(),
    ]


def chosen(table: Sequence[Cell], *, only: Sequence[str], slice_: float | None, seed: int) -> list[Cell]:
    """The cells asked for: by id (or its beginning), or as many drawn by the seed as fit into ``slice_`` seconds, and
    one that cuts a topic.

    Raises ``ValueError``.
    """
    if only:
        found = [cell for cell in table if any(cell.id == name or cell.id.startswith(f"{name}-") for name in only)]
        if not found:
            raise ValueError(f"no cell {', '.join(only)}; all: {' '.join(cell.id for cell in table)}")
        return found
    if slice_ is None:
        return list(table)
    draw, left = random.Random(seed), slice_
    possible = [cell for cell in table if cell.act is not None]
    whole = [cell for cell in possible if cell.leaves == "whole"]
    drawn = []
    for cell in draw.sample(whole, len(whole)):
        if cell.takes <= left:
            drawn.append(cell)
            left -= cell.takes
    drawn.append(draw.choice([cell for cell in possible if cell.leaves == "cut" and cell.takes <= LOG_SECONDS]))
    return [cell for cell in table if cell in drawn]
