"""Writes rows without the rules, as a wrong decision would."""

from __future__ import annotations

from typing import Any

from services.chassis.base.database import Connection
from services.chassis.decisions import States
from services.chassis.tables import Table

__all__ = ["save"]


async def save(db: Connection, table: Table[Any], *rows: Any) -> None:
    """Load the whole table, then save these rows: each replaces the row with its key, or is new."""
    states = States()
    table.declare(states)
    await table.load(db, states, f"SELECT {table.name}.* FROM {table.name}")
    for row in rows:
        states.put(row)
    await table.save(db, states)
