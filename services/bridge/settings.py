"""What the bridge can be told from outside, beside what every service can."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.chassis.settings import Settings

__all__ = ["BridgeSettings"]


class BridgeSettings(Settings):
    """Each field is the variable ``SHUANGCHENG_<NAME>``."""

    registries: Path | None = None
    """Folder with one ``<code>.yaml`` per registry."""
    receipt_due: float = Field(default=30.0, gt=0)
    """Seconds after which a sent transfer without receipt is asked about, where the home's file has no other value."""


SETTINGS = BridgeSettings
