"""An hour's way home, as a parcel's: where each service stands, from the linkage's timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["STOPS", "Hour", "hours_of"]

STOPS: Final = ("served", "attested", "travelling", "arrived")
"""The stops on an hour's way."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One service: how far it has come (an index of ``STOPS``), the word for its state, and who must act."""

    service: dict[str, Any]
    stop: int
    tone: Literal["moving", "waiting", "done", "ended"]
    state: str
    reason: str | None
    next: str


def hours_of(services: Sequence[dict[str, Any]]) -> list[Hour]:
    """All services, newest first. A service has the state of its transfer, or that of the record as long as there is no
    transfer."""
    return [_hour(one) for one in reversed(services)]


def _hour(service: dict[str, Any]) -> Hour:
    transfer = service["transfer"]
    whose = f"next_{service['next'] or 'nobody'}"
    if service["state"] == "held":
        return Hour(service, 1, "waiting", "held", service["reason"], whose)
    if transfer is None:
        ended = service["state"] == "revoked"
        return Hour(service, 1, "ended" if ended else "done", service["state"], service["reason"], whose)
    state = transfer["state"]
    stop = {"queued": 1, "withheld": 1, "credited": 3, "superseded": 3}.get(state, 2)
    tone: Literal["moving", "waiting", "done", "ended"] = "moving"
    if state in ("withheld", "uncertain", "refused"):
        tone = "waiting"
    elif state in ("credited", "superseded"):
        tone = "ended" if service["state"] == "revoked" else "done"
    return Hour(service, stop, tone, state, transfer["reason"], whose)
