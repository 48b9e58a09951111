"""What an operator may settle by hand: transfers of which nobody can be sure, and what stands for a home that left."""

from __future__ import annotations

from typing import Literal, TypeAlias

from services.bridge.states import OPEN

__all__ = ["BY_HAND", "Outcome", "not_settleable"]

Outcome: TypeAlias = Literal["credited", "refused"]
BY_HAND = "settled_by_operator"
"""The reason of a transfer that an operator settled."""


def not_settleable(state: str, attempts: int, home_state: str, outcome: Outcome) -> str | None:
    """Why an operator's word on a transfer in this state is not taken; None where it is.

    While a home answers, or is asked again by itself, it settles its own transfers: a hand would be a second mind.
    """
    if state not in OPEN:
        return "it is settled already"
    if state != "uncertain" and home_state != "left":
        return f"it is {state}: the linkage goes on with it by itself; only an uncertain transfer is settled by hand"
    if outcome == "credited" and attempts == 0:
        return "it was never sent, so that its home cannot have booked it"
    return None
