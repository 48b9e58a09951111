"""Which files a run of pytest need not import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["left_out"]


def left_out(file: Path, marker: str, asked: Sequence[str]) -> bool:
    """Whether a run of what is marked `whole` leaves this file out, for it does not say `mark.whole` anywhere.

    ``marker``: the run's `-m`; ``asked``: files and folders that it was given. To import all files of tests takes each
    worker seven seconds more of a processor, and one file in ten has such tests. A file that was asked for by name is
    never left out: pytest would say that it is not there.
    """
    if not f"{marker} ".startswith("whole ") or " or " in marker:
        return False
    if not (file.match("test_*.py") and file.is_file()) or not all(Path(one).is_dir() for one in asked):
        return False
    return "mark.whole" not in file.read_text("utf-8")
