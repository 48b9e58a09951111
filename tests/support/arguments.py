"""Types of arguments for the commands under ``tests``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

__all__ = ["report_file"]


def report_file(text: str) -> Path:
    """A file that can be written, or ``-``. It is checked before a run of minutes, not after it.

    Raises ``argparse.ArgumentTypeError``, which argparse makes a usage error of.
    """
    path = Path(text)
    if text == "-" or os.access(path if path.exists() else path.parent, os.W_OK):
        return path
    raise argparse.ArgumentTypeError(f"{text} cannot be written: name a file in a folder that is there")
