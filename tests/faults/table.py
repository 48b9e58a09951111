"""All cells, in the order in which they are done."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.faults.cell import Cell
from tests.faults.disk import disk_cells
from tests.faults.flood import flood_cells
from tests.faults.homes import home_cells
from tests.faults.instances import instance_cells
from tests.faults.kills import matrix
from tests.faults.otherlogs import log_cells
from tests.faults.outages import outages
from tests.faults.poison import poison_cells

__all__ = ["cells", "chosen"]


def cells(*, full: bool = False) -> list[Cell]:
    """Every cell of the report; ``full`` takes the loads that are too long for every day."""
    return [
        *matrix(),
        *outages(),
        *disk_cells(),
        *instance_cells(),
        *home_cells(full=full),
        *flood_cells(full=full),
        *poison_cells(),
        *log_cells(),
    ]


def chosen(table: Sequence[Cell], *, only: Sequence[str], slice_: float | None, seed: int) -> list[Cell]:
    """The cells asked for: by id (or its beginning), or as many drawn by the seed as fit into ``slice_`` seconds.

    Raises ``ValueError``.
    """
    if only:
        found = [cell for cell in table if any(cell.id == name or cell.id.startswith(f"{name}-") for name in only)]
        if not found:
            raise ValueError(f"no cell {', '.join(only)}; all: {' '.join(cell.id for cell in table)}")
        return found
    if slice_ is None:
        return list(table)
    drawn, left = [], slice_
    possible = [cell for cell in table if cell.act is not None and cell.leaves == "whole"]
    for cell in random.Random(seed).sample(possible, len(possible)):
        if cell.takes <= left:
            drawn.append(cell)
            left -= cell.takes
    return [cell for cell in table if cell in drawn]
