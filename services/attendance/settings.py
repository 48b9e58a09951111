"""Settings of attendance, besides those that every service has."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.chassis.base.settings import Settings

__all__ = ["AttendanceSettings"]


class AttendanceSettings(Settings):
    """Each field is the variable ``SHUANGCHENG_<NAME>``."""

    registries: Path | None = None
    """Folder with one ``<code>.yaml`` per registry."""
    day_cap_minutes: int = Field(default=480, ge=1, le=1440)
    """The most minutes of one person on one Shanghai day, over all registries, where her home's file says nothing. A
    record that goes beyond is held (rule 72)."""


SETTINGS = AttendanceSettings
