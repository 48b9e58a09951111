"""Transfers that an operator may settle: those that are uncertain, and those that are open for a home that left."""

from __future__ import annotations

from typing import Literal, TypeAlias

from services.bridge.states import OPEN

__all__ = ["BY_HAND", "Outcome", "not_settleable"]

Outcome: TypeAlias = Literal["credited", "refused"]
BY_HAND = "settled_by_operator"
"""The reason of a transfer that an operator settled."""


def not_settleable(state: str, attempts: int, home_state: str, outcome: Outcome) -> str | None:
    """Why an operator cannot settle a transfer in this state; None where it is possible.

    While the home answers, or the linkage asks it again, the home's receipt decides: an operator could only contradict
    it.
    """
    if state not in OPEN:
        return "it is settled already"
    if state != "uncertain" and home_state != "left":
        return f"it is {state}: the linkage goes on with it by itself; only an uncertain transfer is settled by hand"
    if outcome == "credited" and attempts == 0:
        return "it was never sent, so that its home cannot have booked it"
    return None
