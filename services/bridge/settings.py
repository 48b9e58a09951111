"""Settings of the bridge alone, beside those of every service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.chassis.base.settings import Settings

__all__ = ["BridgeSettings"]


class BridgeSettings(Settings):
    """Each field is the variable ``SHUANGCHENG_<NAME>``."""

    registries: Path | None = None
    """Folder with one ``<code>.yaml`` per registry."""
    receipt_due: float = Field(default=30.0, gt=0)
    """Time limit of a receipt in seconds, for homes whose files have no value of their own."""


SETTINGS = BridgeSettings
