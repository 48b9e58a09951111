"""Whether the books agree: the bridge's figures of each direction are compared with the audits of both registries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["MINUTES", "Audit", "failures"]

_LEFT = ("credited", "withheld", "refused", "uncertain", "in_flight")
MINUTES = ("confirmed", *_LEFT, "held")
"""The figures of a direction: confirmed minutes, where they are now, and held minutes."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The sums of the registries' own views for one direction, in minutes."""

    served: int
    """Confirmed minutes of visitors from that home, in the host's ``audit_served``."""
    credited: int
    """Minutes in the home's ``audit_credits``."""


def failures(
    minutes: Mapping[str, Mapping[str, int]], audits: Mapping[str, Audit], *, overbooked: int, stuck: str | None = None
) -> list[str]:
    """Every equality that does not hold, with its figures; none when balanced. ``minutes`` by direction and state."""
    found = [f"not everything came to an end: {stuck}"] if stuck else []
    for direction in sorted(set(audits) | set(minutes)):
        said, audit = minutes.get(direction), audits.get(direction)
        if said is None or audit is None:
            found.append(f"{direction}: {'the bridge knows nothing of it' if said is None else 'no audit covers it'}")
            continue
        if said["confirmed"] != audit.served:
            found.append(f"{direction}: confirmed {said['confirmed']} is not what the host served, {audit.served}")
        if said["credited"] != audit.credited:
            found.append(f"{direction}: credited {said['credited']} is not what the home booked, {audit.credited}")
        parts = {name: said[name] for name in _LEFT}
        if said["confirmed"] != sum(parts.values()):
            terms = " + ".join(f"{name} {value}" for name, value in parts.items())
            found.append(f"{direction}: confirmed {said['confirmed']} is not {terms} = {sum(parts.values())}")
        found += [f"{direction}: {name} is {said[name]}, not 0" for name in ("in_flight", "uncertain") if said[name]]
    if overbooked:
        found.append(f"{overbooked} posts are confirmed above the allotment")
    return found
