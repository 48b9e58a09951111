"""The registries that a folder configures: a file each."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CONFIGURED", "configured_codes"]

CONFIGURED = Path(__file__).parent.parent / "registries"


def configured_codes(folder: Path = CONFIGURED) -> list[str]:
    """Give the codes of the registries that a folder configures, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))
