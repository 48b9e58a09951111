"""Rows written past the rules, as a wrong decision would."""

from __future__ import annotations

from typing import Any

from services.chassis.database import Connection
from services.chassis.decisions import States
from services.chassis.tables import Table

__all__ = ["save"]


async def save(db: Connection, table: Table[Any], *rows: Any) -> None:
    """Load the whole table, and save these in the place of the rows with their keys, or as new ones."""
    states = States()
    table.declare(states)
    await table.load(db, states, "WHERE true")
    for row in rows:
        states.put(row)
    await table.save(db, states)
