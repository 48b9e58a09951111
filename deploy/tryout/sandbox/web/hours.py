"""An hour's way home, as a parcel's: where each service stands, from the linkage's timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

__all__ = ["STOPS", "Correction", "Hour", "hours_of"]

STOPS: Final = ("served", "attested", "travelling", "arrived")
"""The stops on an hour's way."""
_ON_ITS_WAY: Final = ("queued", "withheld", "sent", "uncertain", "refused")
"""States of a transfer that has not changed what is credited."""

Tone: TypeAlias = Literal["moving", "waiting", "done", "ended"]


@dataclass(frozen=True, slots=True)
class Correction:
    """A later version that does not count yet: its minutes, the word for its state, and why it is in that state."""

    minutes: int
    tone: Tone
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Hour:
    """One service: how far it has come (an index of ``STOPS``), its minutes, the word for its state, and who must
    act.

    With a ``correction`` all but ``next`` is said of the version before it, whose minutes count meanwhile.
    """

    service: dict[str, Any]
    stop: int
    minutes: int
    tone: Tone
    state: str
    reason: str | None
    next: str
    correction: Correction | None = None


def hours_of(services: Sequence[dict[str, Any]]) -> list[Hour]:
    """All services, newest first. A service has the state of its transfer, or that of the record as long as there is no
    transfer."""
    return [_hour(one) for one in reversed(services)]


def _hour(service: dict[str, Any]) -> Hour:
    whose = f"next_{service['next'] or 'nobody'}"
    stop, tone, state, reason = _standing(service)
    counts = _counts_meanwhile(service)
    if counts:
        correction = Correction(service["minutes"], tone, state, reason)
        stop, state = (1, "confirmed") if service["host"] == service["home"] else (3, "credited")
        return Hour(service, stop, counts, "done", state, None, whose, correction)
    return Hour(service, stop, service["minutes"], tone, state, reason, whose)


def _counts_meanwhile(service: dict[str, Any]) -> int:
    """Minutes of an earlier version that count while the newest one is held or on its way."""
    held, transfer = service["state"] == "held", service["transfer"]
    if service["host"] == service["home"]:  # nothing is sent: what is confirmed counts
        return int(service["confirmed_minutes"]) if held else 0
    if held or (transfer is not None and transfer["state"] in _ON_ITS_WAY):
        return int(service["credited_minutes"])
    return 0


def _standing(service: dict[str, Any]) -> tuple[int, Tone, str, str | None]:
    """Where the newest version stands: its stop, the tone and the word for its state, and the reason."""
    transfer = service["transfer"]
    if service["state"] == "held":
        return 1, "waiting", "held", service["reason"]
    if transfer is None:
        ended = service["state"] == "revoked"
        return 1, "ended" if ended else "done", service["state"], service["reason"]
    state = transfer["state"]
    stop = {"queued": 1, "withheld": 1, "credited": 3, "superseded": 3}.get(state, 2)
    tone: Tone = "moving"
    if state in ("withheld", "uncertain", "refused"):
        tone = "waiting"
    elif state in ("credited", "superseded"):
        tone = "ended" if service["state"] == "revoked" else "done"
    return stop, tone, state, transfer["reason"]
