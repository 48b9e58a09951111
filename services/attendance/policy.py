"""The values by which attendance decides."""

from __future__ import annotations

from dataclasses import dataclass

from services.attendance.settings import AttendanceSettings

__all__ = ["Policy", "policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """``day_cap_minutes``: service minutes of one person on one Shanghai day, over all registries, that are confirmed
    without review (rule 72)."""

    day_cap_minutes: int


def policy(settings: AttendanceSettings) -> Policy:
    """Read from the settings."""
    return Policy(day_cap_minutes=settings.day_cap_minutes)
