"""The settings of all services at once, for tests that build any of them."""

from __future__ import annotations

from services.adapters.settings import AdapterSettings
from services.attendance.settings import AttendanceSettings
from services.bridge.settings import BridgeSettings

__all__ = ["EverySettings"]


class EverySettings(AttendanceSettings, BridgeSettings, AdapterSettings):
    """The settings of every service in one class."""
